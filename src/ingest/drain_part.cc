#include "ingest/drain_part.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "ingest/limits.h"

namespace postback::ingest {
namespace {

constexpr uint64_t kMillisecondNs = 1'000'000;
// A lane that answers nothing for this long does not hold up the others any longer.
constexpr uint64_t kStuckNs = 1000 * kMillisecondNs;
constexpr size_t kSentPerLaneMax = 3;  // Two with the store and one that waits.

journal::Position first_start(const std::vector<Source>& sources,
                              const journal::Checkpoint& checkpoint) {
  CHECK(!sources.empty());
  journal::Position first{UINT64_MAX, 0};
  for (const Source& source : sources) first = std::min(first, checkpoint.start(source.owner));
  return first;
}

}  // namespace

DrainPart::DrainPart(Drain* drain, std::shared_ptr<const partner::PartnerEntry> entry,
                     uint64_t additions, std::vector<Source> sources)
    : drain_(drain),
      entry_(std::move(entry)),
      sources_(std::move(sources)),
      backlog_(&drain->environment_.backlog->of(owner_of(entry_->partner))),
      additions_(additions),
      start_(first_start(sources_, drain->checkpoint_)),
      read_(start_),
      filling_(static_cast<size_t>(entry_->partner.lanes)),
      sent_(static_cast<size_t>(entry_->partner.lanes)) {
  ++drain_->taking_part_;
  Drain::Progress& progress = drain_->progress_[partner().id];
  if (progress.begun_ns != 0 || backlog_->waiting() == 0) return;
  progress.begun_ns = drain_->now_ns();
  LOG_INFO("drain", "partner=" + partner().partner_code + " draining " +
                        std::to_string(backlog_->waiting()) + " postbacks from the journal");
}

DrainPart::~DrainPart() {
  CHECK(idle() && cut_off_.empty());
  leave();
  for (auto& batch : batches_) drain_->free_batch(std::move(batch));
}

bool DrainPart::takes(const journal::Owner& owner) const {
  return std::any_of(sources_.begin(), sources_.end(),
                     [&](const Source& source) { return source.owner == owner; });
}

uint32_t DrainPart::slice_of(const Conversion& conversion) const {
  return ingest::slice_of(partner(), conversion.text(Field::conversion_id));
}

bool DrainPart::may_begin_batch() const {
  return batches_.size() < kReplayBatchesPerPartnerMax;
}

bool DrainPart::was_moved(journal::Position position) const {
  const std::set<journal::Position>& moved = drain_->progress_[partner().id].moved;
  return !moved.empty() && moved.contains(position);
}

// Of a batch that does not count any more, but of which a record stands in the journal anew.
void DrainPart::note_moved(const DrainBatch& batch) {
  if (!batch.done || batch.moved == 0) return;
  std::set<journal::Position>& moved = drain_->progress_[partner().id].moved;
  for (size_t i = 0; i < batch.row_count; ++i) {
    if (batch.rows[i]->outcome == Outcome::accepted) moved.insert(batch.positions[i]);
  }
  backlog_->remove(batch.moved);
}

void DrainPart::begin_batch(uint32_t slice) {
  std::unique_ptr<DrainBatch> batch = drain_->take_batch();
  batch->clear();
  batch->positions.clear();
  batch->state = DrainBatch::State::filling;
  batch->partner_id = partner().id;
  batch->slice = slice;
  batch->reply_mailbox = drain_->mailbox_.get();
  batch->reply_receiver = this;
  filling_[slice] = batch.get();
  batches_.push_back(std::move(batch));
}

bool DrainPart::add(uint32_t slice, const Conversion& conversion, journal::Position position) {
  DrainBatch* batch = filling_[slice];
  CHECK(!left_ && batch != nullptr);
  if (batch->row_count == 0) batch->first = position;
  Conversion& row = batch->add_row().conversion;
  row = conversion;
  batch->positions.push_back(position);
  row.partner_id = partner().id;  // It may have been assigned.
  batch->byte_count += conversion.byte_count();
  read_ = {position.lsn, position.record + 1};
  const size_t rows_max = std::min(backlog_->batch_rows(), kReplayRowsMax);
  return batch->row_count >= rows_max || batch->byte_count >= kReplayBytesMax;
}

bool DrainPart::may_send(uint32_t slice) const {
  return sent_[slice] < kSentPerLaneMax;
}

void DrainPart::send(uint32_t slice) {
  CHECK(!left_ && may_send(slice));
  DrainBatch* batch = std::exchange(filling_[slice], nullptr);
  batch->state = DrainBatch::State::sent;
  ++sent_[slice];
  if (sent_count_++ == 0) progress_ns_ = drain_->now_ns();
  const DrainEnvironment& environment = drain_->environment_;
  const uint32_t core =
      home_core(partner().id, slice, static_cast<uint32_t>(environment.cores.size()));
  batch->receiver = (*environment.lanes)[core].replays;
  environment.cores[core]->post(*batch);
}

void DrainPart::receive(Message& message) {
  auto& batch = static_cast<DrainBatch&>(message);
  const auto is_it = [&](const auto& other) { return other.get() == &batch; };
  --sent_[batch.slice];
  --sent_count_;
  progress_ns_ = drain_->now_ns();
  batch.state = DrainBatch::State::back;
  const auto lost = std::find_if(cut_off_.begin(), cut_off_.end(), is_it);
  if (lost != cut_off_.end()) {
    note_moved(batch);
    drain_->free_batch(std::move(*lost));
    cut_off_.erase(lost);
    return;
  }
  if (!batch.done) {
    const auto place = std::find_if(batches_.begin(), batches_.end(), is_it);
    cut(static_cast<size_t>(place - batches_.begin()));
    leave();
  }
  advance();
}

// What is back, with nothing in front that is not, is drained.
void DrainPart::advance() {
  while (!batches_.empty() && batches_.front()->state == DrainBatch::State::back) {
    std::unique_ptr<DrainBatch> batch = std::move(batches_.front());
    batches_.pop_front();
    count(*batch);
    set_position(batches_.empty() ? read_ : batches_.front()->first);
    drain_->free_batch(std::move(batch));
  }
}

// Everything before it is drained, of each source up to its limit. Behind that the owner's records
// go their own way.
void DrainPart::set_position(journal::Position position) {
  bool is_fulfilled = false;
  for (const Source& source : sources_) {
    const journal::Position drained = std::min(position, source.limit);
    if (!(drain_->checkpoint_.start(source.owner) < drained)) continue;
    drain_->checkpoint_.partners[source.owner] = drained;
    drain_->checkpoint_dirty_ = true;
    is_fulfilled = is_fulfilled || drained == source.limit;
  }
  if (is_fulfilled) drain_->routes_.forget();
}

void DrainPart::count(const DrainBatch& batch) {
  backlog_->drained().stored.fetch_add(batch.stored, std::memory_order_relaxed);
  backlog_->drained().duplicate.fetch_add(batch.duplicate, std::memory_order_relaxed);
  backlog_->drained().quarantined.fetch_add(batch.quarantined, std::memory_order_relaxed);
  backlog_->forget_settled(batch.settled);
  backlog_->set_oldest(batch.rows[batch.row_count - 1]->conversion.received_at_us);
  backlog_->remove(batch.row_count - batch.settled.size());
  Drain::Progress& progress = drain_->progress_[partner().id];
  progress.drained += batch.row_count;
  progress.pause_ns = 0;
}

// Batches from the one at `from` on do not count any more: their records are read again.
void DrainPart::cut(size_t from) {
  if (from == batches_.size()) return;
  read_ = batches_[from]->first;
  for (size_t i = from; i < batches_.size(); ++i) {
    std::unique_ptr<DrainBatch>& batch = batches_[i];
    switch (batch->state) {
      case DrainBatch::State::filling:
        filling_[batch->slice] = nullptr;
        drain_->free_batch(std::move(batch));
        break;
      case DrainBatch::State::sent:
        cut_off_.push_back(std::move(batch));
        break;
      case DrainBatch::State::back:
        note_moved(*batch);
        drain_->free_batch(std::move(batch));
        break;
    }
  }
  batches_.resize(from);
}

void DrainPart::leave() {
  if (left_) return;
  left_ = true;
  --drain_->taking_part_;
  const auto first = std::find_if(batches_.begin(), batches_.end(), [](const auto& batch) {
    return batch->state == DrainBatch::State::filling;
  });
  cut(static_cast<size_t>(first - batches_.begin()));
}

bool DrainPart::is_stuck() const {
  return sent_count_ > 0 && drain_->now_ns() > progress_ns_ + kStuckNs;
}

void DrainPart::finish(uint64_t last_lsn) {
  CHECK(!left_ && batches_.empty());
  Drain::Progress& progress = drain_->progress_[partner().id];
  set_position({last_lsn + 1, 0});
  progress.additions_drained = additions_;
  progress.moved.clear();
  backlog_->forget_recovered_ids();
  for (const Source& source : sources_) source.backlog->forget_recovered_ids();
  if (progress.begun_ns == 0 || backlog_->waiting() > 0) return;
  const uint64_t took_ms = (drain_->now_ns() - progress.begun_ns) / kMillisecondNs;
  LOG_INFO("drain", "partner=" + partner().partner_code + " drained " +
                        std::to_string(progress.drained) + " postbacks in " +
                        std::to_string(took_ms) + " ms");
  progress.begun_ns = 0;
  progress.drained = 0;
}

}  // namespace postback::ingest
