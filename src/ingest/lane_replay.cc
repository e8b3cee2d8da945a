// The lane and the journal's records on their way into the database.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "ingest/lane.h"
#include "ingest/limits.h"

namespace postback::ingest {

void Lane::replay(ReplayBatch& batch) {
  if (away_ || backlog_ == nullptr) {
    return_replay(batch, false);
    return;
  }
  std::unique_ptr<Flight> flight = flights_.take();
  if (!add_replayed_rows(flight.get(), &batch)) {
    flights_.give_back(std::move(flight));
    return_replay(batch, true);
    return;
  }
  flight->begun_ns = environment_.loop->now_ns();
  replays_waiting_.push_back(std::move(flight));
  mark_dirty();
}

// False: no row is left to be stored.
bool Lane::add_replayed_rows(Flight* flight, ReplayBatch* batch) {
  flight->replay = batch;
  for (size_t i = 0; i < batch->row_count; ++i) {
    Postback& row = *batch->rows[i];
    row.with_store = false;
    row.journaled = false;
    row.id_changes = 0;
    if (backlog_->is_settled(row.conversion.id)) {
      batch->settled.push_back(row.conversion.id);
    } else if (row.conversion.reason == Reason::none) {
      flight->postbacks.push_back(&row);
    } else {
      flight->quarantined_postbacks.push_back(&row);
    }
  }
  // Ids of one batch are distinct: the first copy is stored, the others are repeats.
  const auto id_of = [](const Postback* row) { return row->conversion.text(Field::conversion_id); };
  auto& rows = flight->postbacks;
  std::stable_sort(rows.begin(), rows.end(),
                   [&](const Postback* a, const Postback* b) { return id_of(a) < id_of(b); });
  const auto repeats =
      std::unique(rows.begin(), rows.end(),
                  [&](const Postback* a, const Postback* b) { return id_of(a) == id_of(b); });
  const auto repeat_count = static_cast<uint64_t>(rows.end() - repeats);
  rows.erase(repeats, rows.end());
  batch->duplicate += repeat_count;
  batch->repeats = repeat_count;
  batch->rows_open = flight->row_count();
  batch->done = true;  // Until a row turns out otherwise.
  return batch->rows_open > 0;
}

bool Lane::may_replay() const {
  if (replays_waiting_.empty() || store_closing_ || !store_->can_submit()) return false;
  const bool is_live =
      open_->row_count() > 0 || !waiting_.empty() || submitted_.size() > replays_in_flight_;
  if (!is_live) return replays_in_flight_ < kReplaysInFlightMax;
  return replays_in_flight_ == 0 && environment_.loop->now_ns() >= replay_from_ns_;
}

void Lane::submit_replays() {
  while (may_replay() && take_slot()) {
    std::unique_ptr<Flight> flight = std::move(replays_waiting_.front());
    replays_waiting_.pop_front();
    ++replays_in_flight_;
    flight->begun_ns = environment_.loop->now_ns();
    submit(std::move(flight));
  }
}

void Lane::replay_batch_done(const Flight& flight) {
  --replays_in_flight_;
  const uint64_t now_ns = environment_.loop->now_ns();
  replay_from_ns_ = now_ns + (now_ns - flight.submitted_ns);
}

void Lane::finish_replayed(Postback& row, Outcome outcome) {
  ReplayBatch& batch = *row.replay;
  switch (outcome) {
    case Outcome::success:
      ++batch.stored;
      break;
    case Outcome::duplicate:
      ++batch.duplicate;
      break;
    case Outcome::quarantined:
      ++batch.quarantined;
      break;
    case Outcome::unavailable:
      batch.done = false;
      break;
    case Outcome::pending:
    case Outcome::accepted:
      CHECK(false);
      break;
  }
  CHECK(batch.rows_open > 0);
  if (--batch.rows_open == 0) return_replay(batch, batch.done);
}

void Lane::fail_replays() {
  for (auto& flight : std::exchange(replays_waiting_, {})) {
    failed(*flight);
    flights_.give_back(std::move(flight));
  }
}

void Lane::return_replay(ReplayBatch& batch, bool done) {
  batch.done = done;
  // Once for all attempts: the others did not count.
  for (uint64_t i = 0; done && i < batch.repeats; ++i) count_duplicate();
  batch.receiver = batch.reply_receiver;
  batch.reply_mailbox->post(batch);
}

}  // namespace postback::ingest
