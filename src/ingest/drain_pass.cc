#include "ingest/drain_pass.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "ingest/limits.h"

namespace postback::ingest {
namespace {

constexpr uint64_t kMillisecondNs = 1'000'000;
// How long the others wait for a lane that does not keep up.
constexpr uint64_t kSlowLaneNs = 1000 * kMillisecondNs;
// A partner that left a pass comes back after this time at the earliest.
constexpr uint64_t kRetryNs = 200 * kMillisecondNs;
constexpr uint64_t kPumpNs = 50 * kMillisecondNs;
constexpr uint64_t kCheckpointIntervalNs = 1000 * kMillisecondNs;
constexpr size_t kParticipantsMax = 64;
constexpr size_t kSentPerLaneMax = 3;  // Two with the store and one that waits.

}  // namespace

struct Participant {
  const Partner* partner = nullptr;
  PartnerBacklog* backlog = nullptr;
  uint64_t additions = 0;  // Of the backlog, when the pass began.
  // What is not drained yet begins with the first of `batches`, or at the next record that is read.
  std::deque<std::unique_ptr<DrainBatch>> batches;  // By their first record.
  std::vector<DrainBatch*> filling;                 // By slice.
  std::vector<size_t> sent;                         // By slice.
  journal::Position read;                           // Behind the last record taken.
  bool left = false;                                // Takes no more part in the pass.
};

DrainPass::DrainPass(Drain* drain, std::shared_ptr<const partner::PartnerTable> table)
    : drain_(drain), table_(std::move(table)) {}

DrainPass::~DrainPass() {
  CHECK(batch_count_ == 0);
}

void DrainPass::run() {
  // In this order: a lane that is not away later has counted every record that is durable now.
  last_lsn_ = drain_->environment_.writer->status().durable_lsn;
  add_participants();
  if (participants_.empty()) return;
  const bool read_to_end = read_all();
  if (read_to_end) send_all();
  for (auto& [partner_id, participant] : participants_) {
    if (!read_to_end) leave(participant.get());
  }
  while (batch_count_ > 0) drain_->pump(kPumpNs);
  for (auto& [partner_id, participant] : participants_) finish(participant.get(), read_to_end);
}

void DrainPass::add_participants() {
  const uint64_t now_ns = drain_->now_ns();
  for (const auto& entry : table_->entries()) {
    const Partner& partner = entry->partner;
    if (!drain_->wants_pass(partner, now_ns)) continue;
    auto participant = std::make_unique<Participant>();
    participant->partner = &partner;
    participant->backlog = &drain_->environment_.backlog->of(partner.id);
    participant->additions = participant->backlog->additions();
    participant->read = drain_->checkpoint_.start(partner.id);
    participant->filling.resize(static_cast<size_t>(partner.lanes));
    participant->sent.resize(static_cast<size_t>(partner.lanes));
    Drain::Progress& progress = drain_->progress_[partner.id];
    if (progress.begun_ns == 0 && participant->backlog->waiting() > 0) {
      progress.begun_ns = now_ns;
      LOG_INFO("drain", "partner=" + partner.partner_code + " draining " +
                            std::to_string(participant->backlog->waiting()) +
                            " postbacks from the journal");
    }
    participants_.emplace(partner.id, std::move(participant));
    if (participants_.size() == kParticipantsMax) break;
  }
  taking_part_ = participants_.size();
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
  for (const auto& [partner_id, participant] : participants_) {
    options.frames.first_lsn =
        std::min(options.frames.first_lsn, drain_->checkpoint_.start(partner_id).lsn);
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
  while (!drain_->stopping_ && taking_part_ > 0) {
    switch (reader.next()) {
      case journal::ReaderStep::record:
        take(reader.conversion(), reader.position());
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
    if (drain_->checkpoint_dirty_ &&
        drain_->now_ns() > drain_->checkpoint_ns_ + kCheckpointIntervalNs) {
      drain_->commit_checkpoint();
    }
  }
  return false;
}

void DrainPass::take(const Conversion& conversion, journal::Position position) {
  const auto found = participants_.find(conversion.partner_id);
  if (found == participants_.end()) return;
  Participant* participant = found->second.get();
  if (participant->left) return;
  const uint32_t slice = slice_of(*participant->partner, conversion.text(Field::conversion_id));
  DrainBatch* batch = take_batch(participant, slice);
  if (batch == nullptr) return;
  if (batch->row_count == 0) batch->first = position;
  batch->add_row().conversion = conversion;
  batch->byte_count += conversion.byte_count();
  participant->read = {position.lsn, position.record + 1};
  if (batch->row_count == kReplayRowsMax || batch->byte_count >= kReplayBytesMax) {
    send(participant, slice);
  }
}

// The batch being filled for the slice. nullptr when the participant has left meanwhile.
DrainBatch* DrainPass::take_batch(Participant* participant, uint32_t slice) {
  if (participant->filling[slice] != nullptr) return participant->filling[slice];
  // At the bound everything goes out as it is, so that something comes back.
  if (batch_count_ == kReplayBatchesMax) send_all();
  while (batch_count_ == kReplayBatchesMax) drain_->pump(kPumpNs);
  if (participant->left) return nullptr;
  std::unique_ptr<DrainBatch> batch;
  if (drain_->batches_free_.empty()) {
    batch = std::make_unique<DrainBatch>();
  } else {
    batch = std::move(drain_->batches_free_.back());
    drain_->batches_free_.pop_back();
  }
  batch->clear();
  batch->state = DrainBatch::State::filling;
  batch->participant = participant;
  batch->partner_id = participant->partner->id;
  batch->slice = slice;
  batch->reply_mailbox = drain_->mailbox_.get();
  batch->reply_receiver = this;
  ++batch_count_;
  participant->filling[slice] = batch.get();
  participant->batches.push_back(std::move(batch));
  return participant->filling[slice];
}

void DrainPass::send(Participant* participant, uint32_t slice) {
  if (!wait_for_lane(participant, slice)) {
    leave(participant);
    return;
  }
  DrainBatch* batch = std::exchange(participant->filling[slice], nullptr);
  batch->state = DrainBatch::State::sent;
  ++participant->sent[slice];
  const auto core_count = static_cast<uint32_t>(drain_->environment_.cores.size());
  const uint32_t core = home_core(participant->partner->id, slice, core_count);
  batch->receiver = (*drain_->environment_.lanes)[core].replays;
  drain_->environment_.cores[core]->post(*batch);
}

void DrainPass::send_all() {
  for (auto& [partner_id, participant] : participants_) {
    for (uint32_t slice = 0; slice < participant->filling.size(); ++slice) {
      if (!participant->left && participant->filling[slice] != nullptr) {
        send(participant.get(), slice);
      }
    }
  }
}

// False when the lane has failed, does not keep up, or the drain stops.
bool DrainPass::wait_for_lane(Participant* participant, uint32_t slice) {
  const uint64_t began_ns = drain_->now_ns();
  while (participant->sent[slice] >= kSentPerLaneMax && !participant->left && !drain_->stopping_ &&
         drain_->now_ns() < began_ns + kSlowLaneNs) {
    drain_->pump(kPumpNs);
  }
  return participant->sent[slice] < kSentPerLaneMax && !participant->left && !drain_->stopping_;
}

void DrainPass::receive(Message& message) {
  auto& batch = static_cast<DrainBatch&>(message);
  Participant* participant = batch.participant;
  batch.state = DrainBatch::State::back;
  --participant->sent[batch.slice];
  if (!batch.done) leave(participant);
  if (!participant->left) {
    advance(participant);
    return;
  }
  // Done or not, its records are read again: the database recognises what it has.
  const auto place = std::find_if(participant->batches.begin(), participant->batches.end(),
                                  [&](const auto& other) { return other.get() == &batch; });
  if (place == participant->batches.end()) return;  // leave() has freed it.
  free_batch(std::move(*place));
  participant->batches.erase(place);
}

// What is done, with nothing in front that is not, is drained.
void DrainPass::advance(Participant* participant) {
  auto& batches = participant->batches;
  while (!batches.empty() && batches.front()->state == DrainBatch::State::back) {
    std::unique_ptr<DrainBatch> batch = std::move(batches.front());
    batches.pop_front();
    drained(participant, *batch);
    drain_->checkpoint_.partners[participant->partner->id] =
        batches.empty() ? participant->read : batches.front()->first;
    drain_->checkpoint_dirty_ = true;
    free_batch(std::move(batch));
  }
}

void DrainPass::free_batch(std::unique_ptr<DrainBatch> batch) {
  drain_->batches_free_.push_back(std::move(batch));
  --batch_count_;
}

void DrainPass::drained(Participant* participant, const DrainBatch& batch) {
  PartnerBacklog* backlog = participant->backlog;
  backlog->drained().stored.fetch_add(batch.stored, std::memory_order_relaxed);
  backlog->drained().duplicate.fetch_add(batch.duplicate, std::memory_order_relaxed);
  backlog->drained().quarantined.fetch_add(batch.quarantined, std::memory_order_relaxed);
  backlog->forget_settled(batch.settled);
  backlog->set_oldest(batch.rows[batch.row_count - 1]->conversion.received_at_us);
  backlog->remove(batch.row_count - batch.settled.size());
  drain_->progress_[participant->partner->id].drained += batch.row_count;
}

// The participant stays where it is; what is not drained is read again in a later pass. Batches
// that a lane has are freed when they come back.
void DrainPass::leave(Participant* participant) {
  if (participant->left) return;
  participant->left = true;
  --taking_part_;
  std::fill(participant->filling.begin(), participant->filling.end(), nullptr);
  std::erase_if(participant->batches, [this](auto& batch) {
    if (batch->state == DrainBatch::State::sent) return false;
    free_batch(std::move(batch));
    return true;
  });
}

void DrainPass::finish(Participant* participant, bool read_to_end) {
  const int32_t partner_id = participant->partner->id;
  Drain::Progress& progress = drain_->progress_[partner_id];
  if (participant->left || !read_to_end) {
    progress.retry_ns = drain_->now_ns() + kRetryNs;
    return;
  }
  // Nothing of this partner is left in front of the end of this pass.
  journal::Position& position = drain_->checkpoint_.partners[partner_id];
  position = std::max(position, journal::Position{last_lsn_ + 1, 0});
  drain_->checkpoint_dirty_ = true;
  progress.additions_drained = participant->additions;
  participant->backlog->forget_recovered_ids();
  if (progress.begun_ns == 0 || participant->backlog->waiting() > 0) return;
  const uint64_t took_ms = (drain_->now_ns() - progress.begun_ns) / kMillisecondNs;
  LOG_INFO("drain", "partner=" + participant->partner->partner_code + " drained " +
                        std::to_string(progress.drained) + " postbacks in " +
                        std::to_string(took_ms) + " ms");
  progress.begun_ns = 0;
  progress.drained = 0;
}

}  // namespace postback::ingest
