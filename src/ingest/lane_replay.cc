// The lane and the journal's records on their way into the database.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "ingest/lane.h"
#include "ingest/limits.h"

namespace postback::ingest {
namespace {

// Ids of one batch are distinct: the first copy is stored, and the others wait with it.
void chain_repeats(std::vector<Postback*>* rows) {
  const auto id_of = [](const Postback* row) { return row->conversion.text(Field::conversion_id); };
  std::stable_sort(rows->begin(), rows->end(),
                   [&](const Postback* a, const Postback* b) { return id_of(a) < id_of(b); });
  size_t kept = 0;
  Postback* last = nullptr;  // Of the chain of the row kept last.
  for (Postback* row : *rows) {
    if (kept > 0 && id_of((*rows)[kept - 1]) == id_of(row)) {
      last->waiters = row;
    } else {
      (*rows)[kept++] = row;
    }
    last = row;
  }
  rows->resize(kept);
}

}  // namespace

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
  batch->rows_open = 0;
  for (size_t i = 0; i < batch->row_count; ++i) {
    Postback& row = *batch->rows[i];
    row.with_store = false;
    row.journaled = false;
    row.outcome = Outcome::pending;
    row.id_changes = 0;
    row.waiters = nullptr;
    if (backlog_->is_settled(row.conversion.id)) {
      batch->settled.push_back(row.conversion.id);
      continue;
    }
    ++batch->rows_open;
    if (row.conversion.reason == Reason::none) {
      flight->postbacks.push_back(&row);
    } else {
      flight->quarantined_postbacks.push_back(&row);
    }
  }
  chain_repeats(&flight->postbacks);
  batch->done = true;  // Until a row turns out otherwise.
  return batch->rows_open > 0;
}

// Live postbacks of this lane, or of any other.
bool Lane::is_beside_live() const {
  return open_->row_count() > 0 || !waiting_.empty() || submitted_.size() > replays_in_flight_ ||
         environment_.backlog->is_live(environment_.loop->now_ns());
}

bool Lane::may_replay() const {
  if (replays_waiting_.empty() || store_closing_ || !store_->can_submit()) return false;
  if (!is_beside_live()) return replays_in_flight_ < kReplaysInFlightMax;
  return replays_in_flight_ == 0 && environment_.loop->now_ns() >= replay_from_ns_;
}

void Lane::submit_replays() {
  suspect_waits_ = false;
  resume_deferred();
  while (may_replay() && !is_trying_suspects()) {
    if (!prepare_replay()) continue;
    suspect_waits_ = replays_waiting_.front()->is_suspect && !submitted_.empty();
    if (suspect_waits_ || !take_slot()) break;
    std::unique_ptr<Flight> flight = std::move(replays_waiting_.front());
    replays_waiting_.pop_front();
    ++replays_in_flight_;
    flight->begun_ns = environment_.loop->now_ns();
    submit(std::move(flight));
  }
}

// Cuts the first flight that waits to what may go together. False: it is not to be sent now, and
// does not stand there any more.
bool Lane::prepare_replay() {
  const size_t rows_max = is_beside_live() ? kReplayRowsBesideLive : kReplayRowsMax;
  if (std::unique_ptr<Flight> rest = cut_to_size(replays_waiting_.front().get(), rows_max)) {
    replays_waiting_.insert(replays_waiting_.begin() + 1, std::move(rest));
  }
  if (suspects_.empty() || replays_waiting_.front()->row_count() != 1) return true;
  Flight& first = *replays_waiting_.front();
  const Postback& row = first.first_row();
  const bool refused = is_refused(first);
  if (!refused && suspects_.may_try(row, environment_.loop->now_ns())) return true;
  std::unique_ptr<Flight> flight = std::move(replays_waiting_.front());
  replays_waiting_.pop_front();
  if (refused) {
    quarantine_refused_row(std::move(flight), suspects_.error(row));
  } else {
    replays_deferred_.push_back(std::move(flight));
  }
  return false;
}

// What may be tried by now goes behind everything else that waits. The drain gets back what may not
// for too long: it has more rows, and it may be about to stop.
void Lane::resume_deferred() {
  if (replays_deferred_.empty()) return;
  const uint64_t now_ns = environment_.loop->now_ns();
  for (auto& flight : std::exchange(replays_deferred_, {})) {
    if (suspects_.may_try(flight->first_row(), now_ns)) {
      replays_waiting_.push_back(std::move(flight));
    } else if (now_ns < flight->begun_ns + kReplayDeferNsMax) {
      replays_deferred_.push_back(std::move(flight));
    } else {
      failed(*flight);
      flights_.give_back(std::move(flight));
    }
  }
}

void Lane::replay_batch_done(const Flight& flight) {
  --replays_in_flight_;
  const uint64_t now_ns = environment_.loop->now_ns();
  replay_from_ns_ = now_ns + kReplayRests * (now_ns - flight.submitted_ns);
}

void Lane::finish_replayed(Postback& row, Outcome outcome) {
  ReplayBatch& batch = *row.replay;
  row.outcome = outcome;  // Tells the drain which record was moved.
  finish_repeats(row, outcome);
  count_replayed(&batch, outcome);
  CHECK(batch.rows_open > 0);
  if (--batch.rows_open == 0) return_replay(batch, batch.done);
}

void Lane::count_replayed(ReplayBatch* batch, Outcome outcome) {
  switch (outcome) {
    case Outcome::success:
      ++batch->stored;
      break;
    case Outcome::duplicate:
      ++batch->duplicate;
      break;
    case Outcome::quarantined:
      ++batch->quarantined;
      break;
    case Outcome::accepted:
      ++batch->moved;
      break;
    case Outcome::unavailable:
      batch->done = false;
      break;
    case Outcome::pending:
      CHECK(false);
      break;
  }
}

// Rows of the batch with the same conversion id, which waited with their first copy.
void Lane::finish_repeats(Postback& first, Outcome outcome) {
  ReplayBatch& batch = *first.replay;
  Postback* repeat = std::exchange(first.waiters, nullptr);
  while (repeat != nullptr) {
    CHECK(outcome == Outcome::success || outcome == Outcome::duplicate ||
          outcome == Outcome::unavailable);
    const bool is_repeat = outcome != Outcome::unavailable;
    if (is_repeat) ++batch.repeats;
    count_replayed(&batch, is_repeat ? Outcome::duplicate : Outcome::unavailable);
    CHECK(batch.rows_open > 1);  // The first copy is open still.
    --batch.rows_open;
    repeat = std::exchange(repeat->waiters, nullptr);
  }
}

// The first copy goes to the quarantine: the next one may be what its sender corrected.
void Lane::replay_repeats(Postback& first) {
  if (first.waiters == nullptr) return;
  std::unique_ptr<Flight> flight = flights_.take();
  flight->replay = first.replay;
  flight->begun_ns = environment_.loop->now_ns();
  flight->postbacks.push_back(std::exchange(first.waiters, nullptr));
  replays_waiting_.push_front(std::move(flight));
}

// A row that failed alone while the database took others is written into the journal anew, behind
// all others, so that these go on; the rest of its batch is done. False: it is not.
bool Lane::move_behind(Postback& row) {
  const ReplayBatch& batch = *row.replay;
  const bool is_last = batch.rows_open == 1 && batch.done;
  return is_last && backlog_->waiting() > 1 && suspects_.is_behind_others(row) &&
         spill_.add(row, environment_.loop->now_ns());
}

void Lane::fail_replays() {
  for (auto* queue : {&replays_waiting_, &replays_deferred_}) {
    for (auto& flight : std::exchange(*queue, {})) {
      failed(*flight);
      flights_.give_back(std::move(flight));
    }
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
