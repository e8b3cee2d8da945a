#include "server/journal_service.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "base/log.h"
#include "base/ownership.h"
#include "ingest/limits.h"
#include "journal/active_segment.h"
#include "journal/fault_disk.h"
#include "journal/place.h"
#include "journal/recovery.h"

namespace postback::server {
namespace {

std::vector<std::string> process_environment() {
  std::vector<std::string> entries;
  for (char** entry = environ; *entry != nullptr; ++entry) entries.emplace_back(*entry);
  return entries;
}

const char* state_name(journal::WriterState state) {
  switch (state) {
    case journal::WriterState::preparing:
      return "preparing";
    case journal::WriterState::ready:
      return "ready";
    case journal::WriterState::refusing:
      return "refusing";
    case journal::WriterState::failed:
      return "failed";
  }
  return "failed";
}

}  // namespace

base::Status JournalService::open(const base::Settings& settings, const base::Clock* clock) {
  disk_ = &journal::disk_for_process();
  clock_ = clock;
  folder_ = settings.data_dir + "/journal";
  if (settings.journal == base::JournalMode::off) {
    reason_ = "JOURNAL=off";
  } else {
    const journal::Place place = journal::judge_place(settings.data_dir, process_environment());
    reason_ = place.why;
    if (settings.journal == base::JournalMode::automatic && !place.durable) {
      reason_ += "; JOURNAL=auto keeps none there";
    } else {
      if (!place.durable) LOG_WARNING("journal", "JOURNAL=on, although " + place.why);
      journal::WriterOptions options;
      options.disk = disk_;
      options.clock = clock;
      options.folder = folder_;
      options.segment_bytes = uint64_t{static_cast<uint32_t>(settings.journal_segment_mib)} << 20;
      auto writer = journal::Writer::open(std::move(options));
      if (!writer.ok()) {
        // Without a journal the databases would be refused for the same reason.
        const bool is_owner = !base::ownership_trouble(folder_).empty();
        return base::Status::error(writer.status().message() +
                                   (is_owner ? "" : " (JOURNAL=off starts without a journal)"));
      }
      writer_ = writer.take();
      spill_bytes_max_ =
          std::min(ingest::kSpillBytesMax,
                   journal::ActiveSegment::payload_bytes_max(
                       uint64_t{static_cast<uint32_t>(settings.journal_segment_mib)} << 20));
    }
  }
  if (writer_ == nullptr) {
    LOG_INFO("journal",
             "off: " + reason_ + "; while a database is away its postbacks are answered 503");
    auto segments = journal::list_segments(disk_, folder_);
    if (segments.ok() && !segments.value().empty()) {
      LOG_WARNING("journal", folder_ +
                                 " holds segments of an earlier run; what is not drained of them "
                                 "stays there until the server runs with the journal again");
    }
    return {};
  }
  log_recovery();
  return ingest::load_backlog(disk_, folder_, *writer_,
                              static_cast<size_t>(settings.dedupe_ids_max), &backlog_);
}

void JournalService::log_recovery() const {
  const journal::Recovered& recovered = writer_->recovered();
  LOG_INFO("journal", folder_ + ": " + std::to_string(recovered.undrained_records) +
                          " postbacks wait to be drained, of " + std::to_string(recovered.records) +
                          " in " + std::to_string(recovered.segments.size()) + " segments");
  for (const journal::Gap& gap : recovered.gaps) {
    const std::string text = journal::gap_text(gap);
    if (gap.drained) {
      LOG_WARNING("journal", "damaged: " + text);
    } else {
      LOG_ERROR("journal", "acknowledged postbacks are lost: " + text);
    }
  }
  for (const journal::TornTail& torn : recovered.torn) {
    LOG_WARNING("journal", "cut a torn tail of segment " + std::to_string(torn.segment) + " (" +
                               std::to_string(torn.bytes) +
                               " bytes, never acknowledged; a copy is kept)");
  }
  for (const uint64_t number : recovered.header_copies_damaged) {
    LOG_WARNING("journal", "one copy of the header of segment " + std::to_string(number) +
                               " is damaged; the other one is used");
  }
  if (recovered.checkpoint.state == journal::CheckpointState::damaged) {
    LOG_WARNING("journal",
                "the checkpoint is damaged: everything is drained from the start, and "
                "what was drained before is recognised");
  }
}

base::Status JournalService::start_drain(std::vector<io::Mailbox*> cores,
                                         const std::vector<ingest::LaneReceivers>* lanes) {
  if (writer_ == nullptr) return {};
  ingest::DrainEnvironment environment;
  environment.disk = disk_;
  environment.writer = writer_.get();
  environment.folder = folder_;
  environment.backlog = &backlog_;
  environment.clock = clock_;
  environment.cores = std::move(cores);
  environment.lanes = lanes;
  drain_ = std::make_unique<ingest::Drain>(std::move(environment));
  return drain_->start();
}

// Looks again and again: the file is there within milliseconds, but for a disk that is very slow.
bool JournalService::wait_until_prepared(uint64_t limit_ns) const {
  if (writer_ == nullptr) return true;
  const uint64_t started_ns = clock_->monotonic_ns();
  while (writer_->status().state == journal::WriterState::preparing) {
    if (clock_->monotonic_ns() - started_ns > limit_ns) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

void JournalService::set_table(std::shared_ptr<const partner::PartnerTable> table) {
  if (drain_ != nullptr) drain_->set_table(std::move(table));
}

void JournalService::stop_drain() {
  if (drain_ != nullptr) drain_->stop();
}

void JournalService::join_drain() {
  if (drain_ != nullptr) drain_->join();
}

void JournalService::close() {
  drain_.reset();
  writer_.reset();
  journal::log_disk_operations();
}

JournalReport JournalService::report() const {
  JournalReport report;
  report.state = "off";
  report.reason = reason_;
  if (writer_ == nullptr) return report;
  report.is_on = true;
  const journal::WriterStatus status = writer_->status();
  report.state = state_name(status.state);
  report.error = status.error;
  report.failed_frames = status.failed_frames;
  report.damaged = writer_->recovered().damaged();
  report.segments = writer_->sealed_segments().size();
  backlog_.for_each([&](int32_t, const ingest::PartnerBacklog& partner) {
    report.waiting += partner.waiting();
    const int64_t oldest_us = partner.oldest_us();
    if (oldest_us != 0 && (report.oldest_us == 0 || oldest_us < report.oldest_us)) {
      report.oldest_us = oldest_us;
    }
  });
  return report;
}

}  // namespace postback::server
