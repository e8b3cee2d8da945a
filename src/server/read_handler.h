// /stats and /conversions on the connection's core: checks the query, gives the report to the desk
// (server/report_desk.h), which sends it to the partner's lanes and writes it, and answers when it
// is back. Thread: the core's.
#pragma once

#include <string>

#include "base/time.h"
#include "ingest/lane.h"
#include "io/courier.h"
#include "server/connections.h"
#include "server/report_desk.h"
#include "server/table_use.h"

namespace postback::server {

class ReadHandler final : public MessageReceiver {
 public:
  struct Environment {
    const base::Clock* clock = nullptr;
    Connections* connections = nullptr;
    io::Courier* courier = nullptr;
    TableUses* tables = nullptr;
    ReportDesk* desk = nullptr;
  };
  explicit ReadHandler(const Environment& environment) : environment_(environment) {}

  void handle(const ExchangeId& id, std::string_view query, StoreRead::Kind kind,
              const partner::PartnerEntry& partner);
  void receive(Message& message) override;

  bool idle() const { return in_use_ == 0; }

 private:
  void refuse(const ExchangeId& id);
  bool read_query(std::string_view query, ReadReport* report, std::string* fault_field,
                  std::string* fault_message) const;

  const Environment environment_;
  size_t in_use_ = 0;
  std::string body_;  // Scratch for answers.
};

}  // namespace postback::server
