// /stats and /conversions on the connection's core: checks the query, sends a read job to the
// partner's lanes, answers when it comes back. Thread: the core's.
#pragma once

#include <string>
#include <vector>

#include "base/time.h"
#include "ingest/lane.h"
#include "io/courier.h"
#include "server/connections.h"
#include "server/table_use.h"

namespace postback::server {

class ReadHandler final : public MessageReceiver {
 public:
  struct Environment {
    const base::Clock* clock = nullptr;
    Connections* connections = nullptr;
    io::Courier* courier = nullptr;
    const std::vector<ingest::LaneReceivers>* lanes = nullptr;  // By core.
    TableUses* tables = nullptr;
  };
  explicit ReadHandler(const Environment& environment) : environment_(environment) {}

  void handle(const ExchangeId& id, std::string_view query, StoreRead::Kind kind,
              const partner::PartnerEntry& partner);
  void receive(Message& message) override;

  bool idle() const { return in_use_ == 0; }

 private:
  struct Job;
  bool read_query(std::string_view query, Job* job, std::string* fault_field,
                  std::string* fault_message) const;

  const Environment environment_;
  size_t in_use_ = 0;
  std::string body_;  // Scratch for answers.
};

}  // namespace postback::server
