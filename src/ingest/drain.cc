#include "ingest/drain.h"

#include <latch>
#include <system_error>
#include <utility>

#include "base/check.h"
#include "base/json_writer.h"
#include "base/log.h"
#include "base/printable.h"
#include "ingest/drain_part.h"
#include "ingest/drain_pass.h"
#include "ingest/limits.h"
#include "ingest/owner_routes.h"
#include "io/loop_choice.h"
#include "journal/reader.h"
#include "journal/stuck_file.h"

namespace postback::ingest {
namespace {

constexpr uint64_t kIdleNs = 100'000'000;
constexpr uint64_t kReadRetryNs = 5'000'000'000;
// A place that the disk does not read is read so often before what is behind it goes on without.
constexpr int kReadAttemptsMax = 3;
// How often the file that tells what is stuck is brought up to date.
constexpr uint64_t kStuckTellNs = 1'000'000'000;
constexpr size_t kErrorBytesMax = 500;
constexpr uint64_t kStopPumpNs = 50'000'000;
// Batches that are kept for the next records; each may hold some megabytes.
constexpr size_t kBatchesKept = 4;

std::string stuck_line(const Partner& partner, const Stuck& stuck) {
  std::string line =
      "partner " + std::to_string(partner.id) + " (" + partner.partner_code + ") since ";
  base::append_iso8601(&line, stuck.since_us);
  if (stuck.row_id != 0) {
    line += ", row " + std::to_string(stuck.row_id) + " of conversion ";
    base::append_json_string(&line, stuck.conversion_id);
    line += " fails by itself";
  }
  return line + ": " + base::printable(stuck.error, kErrorBytesMax) + "\n";
}

}  // namespace

base::Status load_backlog(journal::Disk* disk, const std::string& folder,
                          const journal::Writer& writer, size_t ids_max, Backlog* backlog) {
  const journal::Recovered& recovered = writer.recovered();
  if (recovered.undrained_records == 0) return {};
  struct Found {
    uint64_t count = 0;
    int64_t oldest_us = INT64_MAX;
    std::shared_ptr<IdList> young = std::make_shared<IdList>();
    std::shared_ptr<IdList> old = std::make_shared<IdList>();
  };
  std::map<journal::Owner, Found> owners;
  journal::ReaderOptions options;
  options.frames.disk = disk;
  options.frames.folder = folder;
  auto segments = journal::list_segments(disk, folder);
  if (!segments.ok()) return segments.status();
  options.frames.segments = segments.take();
  options.frames.checkpoint = recovered.checkpoint.checkpoint;
  options.frames.last_lsn = recovered.next_lsn - 1;
  journal::Reader reader(std::move(options));
  size_t young_count = 0;
  for (auto step = reader.next(); step != journal::ReaderStep::end; step = reader.next()) {
    if (step == journal::ReaderStep::failed) return reader.status();
    if (step != journal::ReaderStep::record) continue;
    const Conversion& conversion = reader.conversion();
    Found& found = owners[reader.owner()];
    ++found.count;
    found.oldest_us = std::min(found.oldest_us, conversion.received_at_us);
    if (conversion.reason != Reason::none) continue;
    found.young->add(conversion.text(Field::conversion_id));
    if (++young_count < ids_max / 2) continue;
    // As in the dedupe set: the older half is forgotten, the database knows it soon.
    young_count = 0;
    for (auto& [owner, ids] : owners) {
      ids.old = std::exchange(ids.young, std::make_shared<IdList>());
    }
  }
  for (const auto& [owner, found] : owners) {
    found.old->add_all(*found.young);
    backlog->of(owner).set_recovered(found.count, found.oldest_us, found.old);
  }
  return {};
}

Drain::Drain(DrainEnvironment environment)
    : environment_(std::move(environment)),
      checkpoint_(environment_.writer->recovered().checkpoint.checkpoint) {
  const journal::Recovered& recovered = environment_.writer->recovered();
  for (const journal::Gap& gap : recovered.gaps) gaps_told_.emplace(gap.segment, gap.offset);
  checkpoint_dirty_ = !recovered.segments.empty();  // Segments that are drained may go.
  orders_ = recovered.orders;
  orders_error_ = recovered.orders_error;
}

Drain::~Drain() {
  stop();
  join();
}

base::Status Drain::start() {
  std::latch ready(1);
  base::Status status;
  try {
    thread_ = std::thread([&] {
      // The loop belongs to the thread; epoll is had everywhere and serves a mailbox well.
      auto loop = io::make_loop(base::IoEngine::epoll);
      if (loop.ok()) {
        loop_ = loop.take().loop;
        mailbox_ = std::make_unique<io::Mailbox>(loop_.get());
      } else {
        status = loop.status();
      }
      const bool runs = loop_ != nullptr;
      ready.count_down();
      if (runs) run();
    });
  } catch (const std::system_error& error) {
    return base::Status::error(
        std::string("the system refused a thread for the journal's drain: ") + error.what() +
        "; raise the limit of threads");
  }
  ready.wait();
  return status;
}

void Drain::set_table(std::shared_ptr<const partner::PartnerTable> table) {
  const std::lock_guard lock(mutex_);
  table_ = std::move(table);
}

void Drain::stop() {
  stopping_ = true;
}

void Drain::join() {
  if (thread_.joinable()) thread_.join();
}

void Drain::run() {
  pthread_setname_np(pthread_self(), "drain");
  while (!stopping_) {
    work();
    pump(kIdleNs);
  }
  while (!late_.empty()) pump(kStopPumpNs);
  if (checkpoint_dirty_) commit_checkpoint(UINT64_MAX);
}

void Drain::work() {
  watch_writer();
  std::shared_ptr<const partner::PartnerTable> partners = table();
  if (partners == nullptr || now_ns() < read_retry_ns_) return;
  watch_orders();
  watch_owners(partners);
  DrainPass(this, std::move(partners)).run();
  if (checkpoint_dirty_) commit_checkpoint(UINT64_MAX);
  if (batch_count_ == 0 && environment_.backlog->waiting() == 0) batches_free_.clear();
}

void Drain::pump(uint64_t wait_ns) {
  for (const Completion& completion : loop_->turn(std::chrono::nanoseconds(wait_ns))) {
    completion.client->complete(completion);
  }
  mailbox_->drain();
  end_late();
  tell_stuck();
}

// Counts are left out, so that the file is written only when something else is stuck.
void Drain::tell_stuck() {
  if (stuck_told_.has_value() && now_ns() < stuck_ns_ + kStuckTellNs) return;
  stuck_ns_ = now_ns();
  const std::shared_ptr<const partner::PartnerTable> partners = table();
  if (partners == nullptr) return;
  std::string text;
  for (const auto& entry : partners->entries()) {
    const Partner& partner = entry->partner;
    const PartnerBacklog& backlog = environment_.backlog->of(owner_of(partner));
    if (backlog.waiting() == 0) continue;
    if (const std::optional<Stuck> stuck = backlog.stuck().longest()) {
      text += stuck_line(partner, *stuck);
    }
  }
  if (stuck_told_ == text) return;
  const base::Status status = journal::write_stuck_file(environment_.folder, text);
  if (!status.ok()) LOG_DEBUG("drain", status.message());
  stuck_told_ = std::move(text);
}

void Drain::end_late() {
  std::erase_if(late_, [this](const auto& part) {
    if (!part->idle()) return false;
    progress_[part->partner().id].is_late = false;
    return true;
  });
}

std::shared_ptr<const partner::PartnerTable> Drain::table() {
  const std::lock_guard lock(mutex_);
  return table_;
}

bool Drain::wants_pass(const Partner& partner, uint64_t additions) {
  const Progress& progress = progress_[partner.id];
  return partner.is_active && !progress.is_late && additions != progress.additions_drained &&
         now_ns() >= progress.retry_ns;
}

std::unique_ptr<DrainBatch> Drain::take_batch() {
  CHECK(batch_count_ < kReplayBatchesMax);
  ++batch_count_;
  if (batches_free_.empty()) return std::make_unique<DrainBatch>();
  std::unique_ptr<DrainBatch> batch = std::move(batches_free_.back());
  batches_free_.pop_back();
  return batch;
}

void Drain::free_batch(std::unique_ptr<DrainBatch> batch) {
  --batch_count_;
  if (batches_free_.size() < kBatchesKept) batches_free_.push_back(std::move(batch));
}

void Drain::commit_checkpoint(uint64_t segments_end) {
  checkpoint_ns_ = now_ns();
  std::vector<journal::SegmentSummary> sealed = environment_.writer->sealed_segments();
  std::erase_if(sealed, [&](const auto& segment) { return segment.number >= segments_end; });
  // A segment in which something was found to be lost is kept for a person.
  for (journal::SegmentSummary& segment : sealed) {
    const auto gap = gaps_told_.lower_bound({segment.number, 0});
    if (gap != gaps_told_.end() && gap->first == segment.number && gap->second > 0) {
      segment.damaged = true;
    }
  }
  auto gone =
      journal::commit_checkpoint(environment_.disk, environment_.folder, &checkpoint_, sealed);
  if (gone.ok()) {
    environment_.writer->forget_segments(gone.value());
    checkpoint_dirty_ = false;
  } else {
    // Everything since the last one is drained once more after a restart, and recognised.
    LOG_WARNING("drain", "the journal's checkpoint: " + gone.status().message());
  }
}

void Drain::watch_writer() {
  const journal::WriterStatus status = environment_.writer->status();
  if (status.state == writer_state_) return;
  const bool is_well = status.state == journal::WriterState::ready;
  const bool was_well = writer_state_ == journal::WriterState::preparing;
  writer_state_ = status.state;
  if (status.state == journal::WriterState::failed) {
    LOG_ERROR("journal", "failed: " + status.error);
  } else if (!is_well) {
    LOG_WARNING("journal", "takes nothing now: " + status.error);
  } else {
    LOG_INFO("journal", was_well ? "ready" : "ready again");
  }
}

// False when what stood there may still be had: the pass ends, and a later one tries again.
bool Drain::is_final(const journal::Gap& gap) {
  if (gap.read_error == 0 || gap.drained) return true;
  if (++unreadable_[{gap.segment, gap.offset}] >= kReadAttemptsMax) return true;
  reading_failed(journal::disk_error(
      "read", journal::segment_path(environment_.folder, gap.segment), gap.read_error));
  return false;
}

void Drain::note_gap(const journal::Gap& gap) {
  if (!gaps_told_.emplace(gap.segment, gap.offset).second) return;
  LOG_ERROR("journal", "acknowledged postbacks are lost: " + journal::gap_text(gap));
}

void Drain::reading_failed(const base::Status& status) {
  LOG_ERROR("drain", "the journal cannot be read: " + status.message());
  read_retry_ns_ = now_ns() + kReadRetryNs;
}

}  // namespace postback::ingest
