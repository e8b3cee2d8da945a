#include "ingest/drain_pass.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "ingest/limits.h"

namespace postback::ingest {
namespace {

constexpr uint64_t kMillisecondNs = 1'000'000;
// How long, in one pass, the others wait for a partner that does not keep up with them.
constexpr uint64_t kSlowNs = 1000 * kMillisecondNs;
// How often it is looked whether a partner waits for the next pass.
constexpr uint64_t kOthersIntervalNs = 1000 * kMillisecondNs;
// A partner that left a pass comes back after this time at the earliest, and after up to ten times
// as long when nothing of it could be drained again and again.
constexpr uint64_t kPauseNs = 200 * kMillisecondNs;
constexpr uint64_t kPauseNsMax = 2000 * kMillisecondNs;
constexpr uint64_t kPumpNs = 50 * kMillisecondNs;
constexpr uint64_t kCheckpointIntervalNs = 1000 * kMillisecondNs;
constexpr size_t kPartsMax = 64;

}  // namespace

DrainPass::DrainPass(Drain* drain, std::shared_ptr<const partner::PartnerTable> table)
    : drain_(drain), table_(std::move(table)), began_ns_(drain->now_ns()) {}

void DrainPass::run() {
  add_parts();
  if (parts_.empty()) return;
  const bool read_to_end = read_all();
  for (auto& [partner_id, part] : parts_) send_all(part.get());
  wait_for_all();
  for (auto& [partner_id, part] : parts_) end(std::move(part), read_to_end);
}

// The order matters. What is counted first is durable then, so this pass reads it; what is counted
// later asks for another pass. And a lane that is not away at last has counted all that is read.
void DrainPass::add_parts() {
  struct Candidate {
    const std::shared_ptr<const partner::PartnerEntry>* entry;
    uint64_t additions;
  };
  std::vector<Candidate> candidates;
  for (const auto& entry : table_->entries()) {
    const uint64_t additions =
        drain_->environment_.backlog->of(owner_of(entry->partner)).additions();
    if (drain_->wants_pass(entry->partner, additions)) candidates.push_back({&entry, additions});
  }
  if (candidates.empty()) return;
  last_lsn_ = drain_->environment_.writer->status().durable_lsn;
  // Not always from the front: more than have a place may be slow.
  const size_t shift = drain_->pass_count_++ % candidates.size();
  std::rotate(candidates.begin(), candidates.begin() + static_cast<ptrdiff_t>(shift),
              candidates.end());
  for (const Candidate& candidate : candidates) {
    const int32_t partner_id = (*candidate.entry)->partner.id;
    if (parts_.size() == kPartsMax) break;
    const Partner& partner = (*candidate.entry)->partner;
    if (is_away(partner)) continue;
    std::vector<Source> sources = sources_of(partner);
    if (sources.empty()) continue;
    auto part = std::make_unique<DrainPart>(drain_, *candidate.entry, candidate.additions,
                                            std::move(sources));
    for (const Source& source : part->sources()) routes_[source.owner] = {part.get(), source.limit};
    parts_.emplace(partner_id, std::move(part));
  }
}

// None while batches of one of them may still be with another partner's lanes.
std::vector<Source> DrainPass::sources_of(const Partner& partner) const {
  const std::vector<Source>& sources = drain_->routes_.sources(partner.id);
  const bool is_late = std::any_of(sources.begin(), sources.end(), [&](const Source& source) {
    return drain_->is_late_elsewhere(source.owner, partner.id);
  });
  return is_late ? std::vector<Source>() : sources;
}

// A lane that the partner had under another mark counts as well.
bool DrainPass::is_away(const Partner& partner) const {
  const std::vector<Source>& sources = drain_->routes_.sources(partner.id);
  return drain_->environment_.backlog->of(owner_of(partner)).is_away() ||
         std::any_of(sources.begin(), sources.end(),
                     [](const Source& source) { return source.backlog->is_away(); });
}

base::Result<journal::ReaderOptions> DrainPass::reader_options() const {
  journal::ReaderOptions options;
  options.frames.disk = drain_->environment_.disk;
  options.frames.folder = drain_->environment_.folder;
  auto segments = journal::list_segments(options.frames.disk, options.frames.folder);
  if (!segments.ok()) return segments.status();
  options.frames.segments = segments.take();
  options.frames.checkpoint = drain_->checkpoint_;
  options.frames.first_lsn = last_lsn_ + 1;
  for (const auto& [partner_id, part] : parts_) {
    options.frames.first_lsn = std::min(options.frames.first_lsn, part->start().lsn);
  }
  options.frames.last_lsn = last_lsn_;
  return options;
}

// False when the journal was not read to its end.
bool DrainPass::read_all() {
  base::Result<journal::ReaderOptions> options = reader_options();
  if (!options.ok()) {
    drain_->reading_failed(options.status());
    return false;
  }
  journal::Reader reader(options.take());
  uint64_t others_ns = began_ns_;
  while (!drain_->stopping_ && drain_->taking_part_ > 0) {
    switch (reader.next()) {
      case journal::ReaderStep::record:
        take(reader);
        break;
      case journal::ReaderStep::gap:
        if (!drain_->is_final(reader.gap())) return false;
        drain_->note_gap(reader.gap());
        break;
      case journal::ReaderStep::end:
        return true;
      case journal::ReaderStep::failed:
        drain_->reading_failed(reader.status());
        return false;
    }
    const uint64_t now_ns = drain_->now_ns();
    if (drain_->checkpoint_dirty_ && now_ns > drain_->checkpoint_ns_ + kCheckpointIntervalNs) {
      // The reader finds every segment that it was told of.
      drain_->commit_checkpoint(reader.segment());
    }
    if (now_ns > others_ns + kOthersIntervalNs) {
      if (others_wait()) return false;
      others_ns = now_ns;
    }
  }
  return false;
}

// Whether a partner that takes no part, or none any more, wants to, or where records go changes.
bool DrainPass::others_wait() const {
  const auto& entries = table_->entries();
  return drain_->table() != table_ || drain_->orders_are_new() ||
         std::any_of(entries.begin(), entries.end(), [&](const auto& entry) {
           const auto part = parts_.find(entry->partner.id);
           if (part != parts_.end() && !(part->second->has_left() && part->second->idle())) {
             return false;
           }
           const PartnerBacklog& backlog =
               drain_->environment_.backlog->of(owner_of(entry->partner));
           return drain_->wants_pass(entry->partner, backlog.additions()) &&
                  !is_away(entry->partner);
         });
}

void DrainPass::take(const journal::Reader& reader) {
  const auto found = routes_.find(reader.owner());
  if (found == routes_.end() || !(reader.position() < found->second.limit)) return;
  DrainPart* part = found->second.part;
  if (part->has_left() || part->was_moved(reader.position())) return;
  const Conversion& conversion = reader.conversion();
  const uint32_t slice = part->slice_of(conversion);
  if (part->filling(slice) == nullptr) {
    if (!make_room(part)) return;
    part->begin_batch(slice);
  }
  if (part->add(slice, conversion, reader.position())) send(part, slice);
}

// Until another batch may be begun. False when the part has left.
bool DrainPass::make_room(DrainPart* part) {
  // At a bound everything goes out as it is, so that something comes back.
  if (!part->may_begin_batch()) {
    send_all(part);
    if (!wait_for(part, [&] { return part->may_begin_batch(); })) return false;
  }
  if (drain_->batch_count_ < kReplayBatchesMax) return true;
  for (auto& [partner_id, other] : parts_) send_all(other.get());
  while (drain_->batch_count_ >= kReplayBatchesMax && !part->has_left()) {
    drain_->pump(kPumpNs);
    leave_stuck();
    if (drain_->stopping_) part->leave();
  }
  return !part->has_left();
}

void DrainPass::send(DrainPart* part, uint32_t slice) {
  if (wait_for(part, [&] { return part->may_send(slice); })) part->send(slice);
}

void DrainPass::send_all(DrainPart* part) {
  for (uint32_t slice = 0; slice < static_cast<uint32_t>(part->partner().lanes); ++slice) {
    if (part->filling(slice) != nullptr) send(part, slice);
  }
}

// False when the part has left: its lane has failed, is stuck or holds up the others, or the drain
// stops.
template <typename Condition>
bool DrainPass::wait_for(DrainPart* part, Condition is_ready) {
  while (!part->has_left() && !drain_->stopping_ && !is_ready()) {
    const uint64_t began_ns = drain_->now_ns();
    drain_->pump(kPumpNs);
    leave_stuck();
    part->waited_ns += drain_->now_ns() - began_ns;
    if (drain_->taking_part_ > 1 && part->waited_ns > kSlowNs) part->leave();
  }
  if (drain_->stopping_) part->leave();
  return !part->has_left();
}

void DrainPass::wait_for_all() {
  const auto is_out = [](const auto& item) {
    return !item.second->has_left() && !item.second->is_drained();
  };
  while (!drain_->stopping_ && std::any_of(parts_.begin(), parts_.end(), is_out)) {
    drain_->pump(kPumpNs);
    leave_stuck();
  }
}

void DrainPass::leave_stuck() {
  for (auto& [partner_id, part] : parts_) {
    if (part->is_stuck()) part->leave();
  }
}

void DrainPass::end(std::unique_ptr<DrainPart> part, bool read_to_end) {
  Drain::Progress& progress = drain_->progress_[part->partner().id];
  if (part->has_left() || !part->is_drained()) {
    part->leave();
    progress.pause_ns = std::clamp(2 * progress.pause_ns, kPauseNs, kPauseNsMax);
    progress.retry_ns = drain_->now_ns() + progress.pause_ns;
  } else if (read_to_end) {
    part->finish(last_lsn_);
  }
  if (part->idle()) return;
  progress.is_late = true;
  drain_->late_.push_back(std::move(part));
}

}  // namespace postback::ingest
