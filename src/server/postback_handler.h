// Postbacks on the connection's core: reads the request into a conversion, sends it to its lane,
// and answers when it comes back. Thread: the core's.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/settings.h"
#include "base/text_buffer.h"
#include "base/time.h"
#include "conversion/reader.h"
#include "ingest/lane.h"
#include "ingest/limits.h"
#include "ingest/postback.h"
#include "io/courier.h"
#include "server/connections.h"
#include "server/table_use.h"

namespace postback::server {

class PostbackHandler final : public MessageReceiver {
 public:
  struct Environment {
    const base::Settings* settings = nullptr;
    const base::Clock* clock = nullptr;
    Connections* connections = nullptr;
    io::Courier* courier = nullptr;
    const std::vector<ingest::LaneReceivers>* lanes = nullptr;  // By core.
    TableUses* tables = nullptr;
  };
  explicit PostbackHandler(const Environment& environment) : environment_(environment) {}

  // `partner` is of the current partner table.
  void handle(const ExchangeId& id, const http::Request& request, std::string_view peer_ip,
              const partner::PartnerEntry& partner);
  // The lane's answer.
  void receive(Message& message) override;

  // Answers of postbacks that their store still works on.
  MessageReceiver* early() { return &early_door_; }

  bool idle() const { return pool_.in_use() == 0; }
  size_t in_use() const { return pool_.in_use(); }

 private:
  class EarlyDoor final : public MessageReceiver {
   public:
    explicit EarlyDoor(PostbackHandler* handler) : handler_(handler) {}
    void receive(Message& message) override;

   private:
    PostbackHandler* handler_;
  };

  void answer(const ingest::Postback& postback, ingest::Outcome outcome);
  void log_steps(const ingest::Postback& postback, std::string_view target);
  void log_outcome(const ingest::Postback& postback, ingest::Outcome outcome, uint64_t time_us);

  const Environment environment_;
  EarlyDoor early_door_{this};
  ingest::PostbackPool pool_{ingest::kCorePostbacksMax};
  conversion::Reader reader_;
  std::string body_;        // Scratch for answers,
  base::TextBuffer taken_;  // and for those that say that the conversion is there.
};

}  // namespace postback::server
