// Where reports wait for their turn and are written, so that they stand behind the postbacks: a
// thread of low priority that lets few reports be read at once, one of a partner, and turns their
// rows into JSON, so much in a second. The cores only carry what is ready.
//
//   ReadHandler → ask() ┬→ the partner's lanes → ReadHandler → deliver() → JSON ─┐
//                       └ refused (no memory left, or nobody waits any more) ────┴→ ReadHandler
//
// A report is a message; it belongs to the thread that it is with, see postback/message.h.
//
// Owner: Server, from before the cores run until after they have ended.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <unordered_set>
#include <vector>

#include "base/time.h"
#include "ingest/lane.h"
#include "io/mailbox.h"
#include "partner/partner_table.h"
#include "server/report_budget.h"
#include "server/survey.h"
#include "server/table_use.h"

namespace postback::server {

// A report that is read from a partner's database: /stats, /conversions.
struct ReadReport : ingest::ReadJob {
  enum class Stage : uint8_t { waiting, reading, done };
  Stage stage = Stage::waiting;
  const partner::PartnerEntry* partner = nullptr;  // Held by table_use.
  TableUses::Use* table_use = nullptr;
  int64_t hours = 0;
  uint32_t home_core = 0;            // Of the partner's first lane.
  uint64_t give_up_at_ns = 0;        // Monotonic: the client has been answered without it by then.
  MessageReceiver* asker = nullptr;  // On origin_core; gets it when it is done.
  bool refused = false;              // Not read, or not written: the budget is used up.
  ReportBody body;                   // The JSON, when it was read.
};

// A report on the process itself. The desk writes it when it is too large for a core.
struct SurveyReport : Message {
  std::unique_ptr<Survey> survey;
  ProcessReport process;
  TableUses::Use* table_use = nullptr;  // Holds process.partners; may be null.
  MessageReceiver* asker = nullptr;     // On survey->origin_core.
  int status = 200;                     // Of the answer, when it is written.
  bool refused = false;                 // The budget is used up.
  ReportBody body;
};

class ReportDesk {
 public:
  // Both by core; complete before the first report.
  ReportDesk(const base::Clock* clock, const std::vector<io::Mailbox*>* mailboxes,
             const std::vector<ingest::LaneReceivers>* lanes);
  ~ReportDesk() { stop(); }
  ReportDesk(const ReportDesk&) = delete;
  ReportDesk& operator=(const ReportDesk&) = delete;

  void start();
  // Joins the thread. Reports that are still here then are forgotten: no core is left to answer.
  void stop();

  // Any thread.
  ReportBudget* budget() { return &budget_; }
  void ask(ReadReport& report);      // Its stage is `waiting`.
  void deliver(ReadReport& report);  // The lanes have answered; its stage is `reading`.
  void write(SurveyReport& report);

 private:
  // A receiver that passes its messages on to a member function.
  template <typename T>
  class Door final : public MessageReceiver {
   public:
    using Function = void (ReportDesk::*)(T&);
    Door(ReportDesk* desk, Function function) : desk_(desk), function_(function) {}
    void receive(Message& message) override { (desk_->*function_)(static_cast<T&>(message)); }

   private:
    ReportDesk* desk_;
    Function function_;
  };
  struct Stop : Message {};

  void run();
  void take_read(ReadReport& report);
  void take_survey(SurveyReport& report);
  void take_stop(Stop& stop);
  void start_reads();
  void write_read(ReadReport* report);
  void give_back(ReadReport& report);
  void pace(size_t bytes);

  const base::Clock* const clock_;
  const std::vector<io::Mailbox*>* const mailboxes_;
  const std::vector<ingest::LaneReceivers>* const lanes_;
  ReportBudget budget_;
  io::Mailbox mailbox_{nullptr};
  Door<ReadReport> read_door_{this, &ReportDesk::take_read};
  Door<SurveyReport> survey_door_{this, &ReportDesk::take_survey};
  Door<Stop> stop_door_{this, &ReportDesk::take_stop};
  Stop stop_;
  std::thread thread_;

  // The thread's own.
  std::deque<ReadReport*> waiting_;      // Bounded by the budget.
  std::unordered_set<int32_t> reading_;  // Partners of whom a report is being read.
  uint64_t paid_until_ns_ = 0;           // See pace().
  bool stopping_ = false;
};

}  // namespace postback::server
