#include "server/report_desk.h"

#include <pthread.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>

#include "base/check.h"
#include "server/answers.h"
#include "server/limits.h"

namespace postback::server {
namespace {

// What a survey's text takes, a little too much: measured, by lane and by partner.
size_t survey_bytes(const SurveyReport& report) {
  constexpr size_t kMetricsPerLane = 8 * 1024;
  constexpr size_t kOtherPerLane = 512;
  size_t lanes = 0;
  for (const CoreReport& core : report.survey->cores) lanes += core.lanes.size();
  const auto* partners = report.process.partners;
  const size_t entries = partners == nullptr ? 0 : partners->entries().size();
  return report.survey->kind == Survey::Kind::metrics ? lanes * kMetricsPerLane
                                                      : (lanes + entries) * kOtherPerLane;
}

}  // namespace

ReportDesk::ReportDesk(const base::Clock* clock, const std::vector<io::Mailbox*>* mailboxes,
                       const std::vector<ingest::LaneReceivers>* lanes)
    : clock_(clock), mailboxes_(mailboxes), lanes_(lanes), budget_(kReportBytesMax) {}

void ReportDesk::start() {
  thread_ = std::thread([this] { run(); });
}

void ReportDesk::stop() {
  if (!thread_.joinable()) return;
  stop_.receiver = &stop_door_;
  mailbox_.post(stop_);
  thread_.join();
}

void ReportDesk::ask(ReadReport& report) {
  CHECK(report.stage == ReadReport::Stage::waiting);
  report.receiver = &read_door_;
  mailbox_.post(report);
}

void ReportDesk::deliver(ReadReport& report) {
  CHECK(report.stage == ReadReport::Stage::reading);
  report.receiver = &read_door_;
  mailbox_.post(report);
}

void ReportDesk::write(SurveyReport& report) {
  report.receiver = &survey_door_;
  mailbox_.post(report);
}

void ReportDesk::run() {
  pthread_setname_np(pthread_self(), "reports");
  // Of this thread alone (setpriority(2), "C library/kernel differences"): where processors are
  // scarce, cores and databases come first. It is no harm when the system does not allow it.
  setpriority(PRIO_PROCESS, 0, kReportNiceness);
  while (!stopping_) {
    mailbox_.wait();
    mailbox_.drain();
  }
}

void ReportDesk::take_stop(Stop&) {
  stopping_ = true;
}

void ReportDesk::take_read(ReadReport& report) {
  if (report.stage == ReadReport::Stage::waiting) {
    waiting_.push_back(&report);
  } else {
    reading_.erase(report.partner_id);
    write_read(&report);
    const size_t bytes = report.body.text.size();
    give_back(report);
    pace(bytes);
  }
  start_reads();
}

// Rests when the reports of late were too much work: low priority alone does not keep them behind
// the postbacks, since most of the work is others' (databases', the kernel's, the clients').
void ReportDesk::pace(size_t bytes) {
  constexpr uint64_t kRestNsMin = kMillisecondNs;  // Shorter ones cost more than they help.
  const uint64_t now_ns = clock_->monotonic_ns();
  const uint64_t since_ns = now_ns - std::min(now_ns, kReportBurstNs);
  paid_until_ns_ = std::max(paid_until_ns_, since_ns) +
                   std::max<uint64_t>(bytes, kReportBytesMin) * kSecondNs / kReportBytesPerSecond;
  if (paid_until_ns_ < now_ns + kRestNsMin) return;
  std::this_thread::sleep_for(std::chrono::nanoseconds(paid_until_ns_ - now_ns));
}

void ReportDesk::start_reads() {
  const uint64_t now_ns = clock_->monotonic_ns();
  for (auto next = waiting_.begin();
       next != waiting_.end() && reading_.size() < kReportsReadingMax;) {
    ReadReport& report = **next;
    const bool is_late = now_ns >= report.give_up_at_ns;
    if (!is_late && reading_.contains(report.partner_id)) {
      ++next;
      continue;
    }
    next = waiting_.erase(next);
    report.refused = is_late || !report.body.lease.resize(kReportReadingBytes);
    if (report.refused) {
      give_back(report);
      continue;
    }
    reading_.insert(report.partner_id);
    report.stage = ReadReport::Stage::reading;
    report.receiver = (*lanes_)[report.home_core].reads;
    (*mailboxes_)[report.home_core]->post(report);
  }
}

void ReportDesk::write_read(ReadReport* report) {
  std::string* text = &report->body.text;
  if (report->ok) {
    const Partner& partner = report->partner->partner;
    if (report->kind == StoreRead::Kind::stats) {
      append_stats(text, partner, report->hours, *report, clock_->wall_us());
    } else {
      append_conversions(text, partner, *report);
    }
  }
  std::vector<StoredConversion>().swap(report->conversions);
  // Rows that somebody wrote by hand may be larger than any that this server writes.
  if (report->body.lease.resize(kReportWaitingBytes + text->capacity())) return;
  report->refused = true;
  std::string().swap(*text);
}

void ReportDesk::give_back(ReadReport& report) {
  report.stage = ReadReport::Stage::done;
  report.receiver = report.asker;
  (*mailboxes_)[report.origin_core]->post(report);
}

void ReportDesk::take_survey(SurveyReport& report) {
  std::string* text = &report.body.text;
  report.refused = !report.body.lease.resize(survey_bytes(report));
  if (!report.refused) {
    report.status = append_survey(text, *report.survey, report.process);
    report.refused = !report.body.lease.resize(text->capacity());
  }
  if (report.refused) std::string().swap(*text);
  report.survey->cores.clear();
  const uint32_t core = report.survey->origin_core;
  report.receiver = report.asker;
  (*mailboxes_)[core]->post(report);
}

}  // namespace postback::server
