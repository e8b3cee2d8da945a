// One core: a thread with its loop, its connections, its lanes. Owns everything on it; the only
// way in from outside are its mailbox's messages.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/settings.h"
#include "base/time.h"
#include "ingest/dedupe_set.h"
#include "ingest/lane_table.h"
#include "io/courier.h"
#include "io/mailbox.h"
#include "partner/registry.h"
#include "postback/loop.h"
#include "retention/retention.h"
#include "server/connections.h"
#include "server/journal_service.h"
#include "server/postback_handler.h"
#include "server/read_handler.h"
#include "server/report_desk.h"
#include "server/router.h"
#include "server/survey.h"
#include "server/table_use.h"

namespace postback::server {

// A new partner table on its way. It visits the cores three times: first each makes the lanes it
// will need, then each begins to route by it, then each retires the lanes that nobody routes to
// any more; so no postback is ever routed to a lane that is not there.
struct TableUpdate : Message {
  std::shared_ptr<const partner::PartnerTable> table;
  int lap = 0;
};

// Sent to every core when the server stops: first to drain, later to close the lanes.
struct StopStep : Message {
  bool close_lanes = false;
};

// What the cores of a process share: set before any core runs, constant afterwards.
struct CoreShared {
  const base::Settings* settings = nullptr;
  const base::Clock* clock = nullptr;
  store::Services* services = nullptr;
  const partner::Registry* registry = nullptr;
  JournalService* journal = nullptr;
  ReportDesk* desk = nullptr;
  const retention::Retention* retention = nullptr;
  int64_t started_at_us = 0;
  int64_t writer_base = 0;
  std::vector<io::Mailbox*> mailboxes;       // By core.
  std::vector<ingest::LaneReceivers> lanes;  // By core.
  std::vector<MessageReceiver*> surveys;     // By core.
  std::vector<MessageReceiver*> tables;      // By core.
  std::vector<MessageReceiver*> stops;       // By core.
  std::function<void()> routed;              // Called when all cores route by a new partner table.
  std::function<void()> drained;             // Called once per core, on its thread.
};

class Core final : public RequestHandler {
 public:
  // On the core's thread.
  Core(uint32_t index, std::unique_ptr<Loop> loop, std::string engine_reason, CoreShared* shared);
  ~Core();
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  // Registers mailbox and receivers in the shared lists; then, when every core has, assemble().
  void publish();
  void assemble();
  // Serves until stopped.
  void run(int listener);

  uint64_t handle(const ExchangeId& id, const http::Request& request,
                  std::string_view peer_ip) override;
  void timed_out(const ExchangeId& id) override;
  void refused(const ExchangeId& id, const http::Refusal& refusal) override;

 private:
  // A receiver that passes its messages on to a member function.
  template <typename T>
  class Door final : public MessageReceiver {
   public:
    using Function = void (Core::*)(T&);
    Door(Core* core, Function function) : core_(core), function_(function) {}
    void receive(Message& message) override { (core_->*function_)(static_cast<T&>(message)); }

   private:
    Core* core_;
    Function function_;
  };

  bool refuse_method(const ExchangeId& id, const http::Request& request, const Route& route);
  void answer_unknown_partner(const ExchangeId& id);
  void answer_error(const ExchangeId& id, int status, std::string_view code,
                    std::string_view message, std::string_view allow = {});
  void start_survey(const ExchangeId& id, Survey::Kind kind);
  void next_survey();

  void survey(Survey& survey);
  void finish_survey(std::unique_ptr<Survey> survey);
  void survey_written(SurveyReport& report);
  void answer_survey(SurveyReport* report);
  CoreReport report() const;
  void table(TableUpdate& update);
  void stop(StopStep& step);

  void turn();
  void settle_messages();
  void check_drained();

  const uint32_t index_;
  CoreShared* const shared_;
  std::unique_ptr<Loop> loop_;
  const std::string engine_reason_;
  io::Mailbox mailbox_;
  Door<Survey> survey_door_{this, &Core::survey};
  Door<SurveyReport> survey_written_door_{this, &Core::survey_written};
  Door<TableUpdate> table_door_{this, &Core::table};
  Door<StopStep> stop_door_{this, &Core::stop};
  TableUses tables_;
  RememberedRoutes routes_;                                // Of the current table.
  std::shared_ptr<const partner::PartnerTable> prepared_;  // The newest seen in a first lap.
  std::unique_ptr<io::Courier> courier_;
  std::unique_ptr<ingest::DedupeSet> dedupe_;
  std::unique_ptr<ingest::LaneTable> lanes_;
  std::unique_ptr<Connections> connections_;
  std::unique_ptr<PostbackHandler> postbacks_;
  std::unique_ptr<ReadHandler> reads_;
  // One survey of this core at a time: with thousands of partners each is many megabytes.
  struct SurveyRequest {
    ExchangeId id;
    Survey::Kind kind;
  };
  std::deque<SurveyRequest> surveys_waiting_;  // At most one of a connection.
  bool survey_running_ = false;
  std::string body_;  // Scratch for answers.
  uint64_t next_tick_ns_ = 0;
  uint64_t next_sweep_ns_ = 0;
  bool draining_ = false;
  bool drained_ = false;
  bool closing_ = false;
  uint64_t drain_deadline_ns_ = 0;
};

}  // namespace postback::server
