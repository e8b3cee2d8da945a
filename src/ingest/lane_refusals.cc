// The lane and batches that its database does not take.
//
// A batch with a value that the database refuses is cut in halves until the row stands alone, which
// then goes to the quarantine. A batch that fails without such a verdict makes its rows suspects
// (suspects.h): they go out in smaller batches, and a row that fails alone again and again, while
// the database takes others, is refused as well.
#include <algorithm>
#include <utility>

#include "base/log.h"
#include "ingest/lane.h"
#include "ingest/limits.h"

namespace postback::ingest {
namespace {

// For a row that was refused in the quarantine, too: everything but what came goes. False when
// nothing is left to be dropped.
bool keep_bytes_only(Conversion* conversion) {
  bool dropped = false;
  for (size_t i = 0; i < static_cast<size_t>(Field::kCount); ++i) {
    const auto field = static_cast<Field>(i);
    if (field == Field::body || field == Field::fault_message || !conversion->has(field)) continue;
    conversion->unset(field);
    dropped = true;
  }
  if (dropped) conversion->set(Field::fault_message, "the database refused a value of this call");
  return dropped;
}

}  // namespace

// Leaves in the flight what may go together, at most `rows_max` rows; the rest is to go after it.
// nullptr: all may.
std::unique_ptr<Flight> Lane::cut_to_size(Flight* flight, size_t rows_max) {
  rows_max = std::min(rows_max, batch_size_.rows_max());
  flight->is_suspect = false;
  if (!suspects_.empty() && flight->row_count() > 0) {
    rows_max = std::min(rows_max, suspects_.arrange(flight));
    flight->is_suspect = suspects_.contains(flight->first_row());
  }
  if (flight->row_count() <= rows_max) return nullptr;
  std::unique_ptr<Flight> rest = flights_.take();
  flight->cut(rows_max, rest.get());
  return rest;
}

bool Lane::is_refused(const Flight& flight) {
  // A row of the quarantine has nowhere else to go.
  return !suspects_.empty() && flight.row_count() == 1 && flight.postbacks.size() == 1 &&
         !is_spilled(*flight.postbacks.front()) && suspects_.is_refused(*flight.postbacks.front());
}

void Lane::note_committed(const Flight& flight) {
  const size_t rows_before = batch_size_.rows_max();
  batch_size_.committed(flight.row_count(), flight.submitted_ns, environment_.loop->now_ns());
  suspects_.committed(flight, environment_.loop->now_ns());
  if (backlog_ == nullptr) return;
  if (batch_size_.rows_max() != rows_before) backlog_->set_batch_rows(batch_size_.rows_max());
  if (!suspects_.any_alone()) backlog_->stuck().clear(slice_);
}

void Lane::note_failure(const Flight& flight) {
  if (flight.row_count() == 0) return;
  batch_size_.failed(flight.row_count());
  suspects_.failed(flight, environment_.loop->now_ns());
  if (backlog_ == nullptr) return;
  backlog_->set_batch_rows(batch_size_.rows_max());
  const bool is_alone = flight.row_count() == 1 && flight.is_suspect;
  tell_stuck(is_alone ? &flight.first_row() : nullptr, flight.error);
}

void Lane::tell_stuck(const Postback* row, const std::string& error) {
  Stuck stuck;
  stuck.since_us = environment_.clock->wall_us();
  stuck.error = error;
  if (row != nullptr) {
    stuck.row_id = row->conversion.id;
    stuck.conversion_id = row->conversion.text(Field::conversion_id);
  }
  backlog_->stuck().set(slice_, std::move(stuck));
}

// The id is no conversion: its next copy, corrected perhaps, is judged by itself. It may be known
// as durable because its record is, or was found in the journal at the start.
void Lane::forget_id(const Postback& postback) {
  const std::string_view id = postback.conversion.text(Field::conversion_id);
  memory_.remove(id);
  if (backlog_ != nullptr) backlog_->forget_recovered_id(id);
}

// The database refuses a value in the batch: cut it in halves until the row stands alone.
void Lane::refused(std::unique_ptr<Flight> flight) {
  if (flight->row_count() == 0) {
    LOG_ERROR("lane", name() + " statistics refused: " + flight->error);
    return;  // Only counts: they cannot be filed, and nothing else depends on them.
  }
  duplicates_unfiled_ += std::exchange(flight->duplicate_count, 0);
  strip_spilled(flight.get());
  if (flight->row_count() == 0) return flights_.give_back(std::move(flight));
  if (flight->row_count() == 1 && take_next_id(flight.get())) {
    auto& waiting = flight->replay == nullptr ? waiting_ : replays_waiting_;
    waiting.push_front(std::move(flight));
    return;
  }
  if (flight->row_count() == 1) {
    const std::string error = flight->error;
    quarantine_refused_row(std::move(flight), error);
    return;
  }
  auto second = flights_.take();
  const size_t kept =
      flight->postbacks.size() > 1 ? flight->postbacks.size() / 2 : flight->postbacks.size();
  const size_t kept_quarantined = flight->postbacks.size() > 1 || flight->postbacks.empty()
                                      ? flight->quarantined_postbacks.size() / 2
                                      : 0;
  second->postbacks.assign(flight->postbacks.begin() + static_cast<ptrdiff_t>(kept),
                           flight->postbacks.end());
  flight->postbacks.resize(kept);
  second->quarantined_postbacks.assign(
      flight->quarantined_postbacks.begin() + static_cast<ptrdiff_t>(kept_quarantined),
      flight->quarantined_postbacks.end());
  flight->quarantined_postbacks.resize(kept_quarantined);
  second->replay = flight->replay;
  second->begun_ns = flight->begun_ns;
  auto& waiting = flight->replay == nullptr ? waiting_ : replays_waiting_;
  waiting.push_front(std::move(second));
  waiting.push_front(std::move(flight));
}

// Another row has the id of this one, made in the same microsecond elsewhere. Nothing is wrong with
// the row, so it is stored under another id. Only a record in the journal knows a row by its id,
// and rows that have one were taken out of the batch. False: an id is not what was refused, or
// enough were tried.
bool Lane::take_next_id(Flight* flight) {
  if (!flight->id_taken) return false;
  Postback& postback = flight->postbacks.empty() ? *flight->quarantined_postbacks.front()
                                                 : *flight->postbacks.front();
  if (postback.id_changes == kIdChangesMax) return false;
  ++postback.id_changes;
  postback.with_store = false;
  const int64_t taken =
      std::exchange(postback.conversion.id, RowIds::next_to(postback.conversion.id));
  LOG_WARNING("lane", name() + " another row has the id " + std::to_string(taken) +
                          ", made in the same microsecond elsewhere; this one gets " +
                          std::to_string(postback.conversion.id));
  return true;
}

void Lane::quarantine_refused_row(std::unique_ptr<Flight> flight, const std::string& error) {
  LOG_WARNING("lane", name() + " row refused by the database: " + error);
  Postback& postback = flight->postbacks.empty() ? *flight->quarantined_postbacks.front()
                                                 : *flight->postbacks.front();
  Conversion& conversion = postback.conversion;
  postback.with_store = false;
  suspects_.forget(postback);
  if (conversion.reason == Reason::database_refused && !keep_bytes_only(&conversion)) {
    flight->is_suspect = true;
    flight->error = error;
    note_failure(*flight);  // Told as what holds up the journal, where it came from there.
    give_up(postback);
    return flights_.give_back(std::move(flight));
  }
  if (conversion.reason == Reason::none) forget_id(postback);
  if (conversion.reason == Reason::none && postback.replay != nullptr) {
    replay_repeats(postback);
  } else if (conversion.reason == Reason::none) {
    in_flight_.erase({postback.id_hash, conversion.text(Field::conversion_id)});
    // Repeats that waited with it are judged by themselves.
    Postback* waiter = std::exchange(postback.waiters, nullptr);
    while (waiter != nullptr) {
      Postback* next = std::exchange(waiter->waiters, nullptr);
      add_conversion(*waiter);
      waiter = next;
    }
  }
  // As bytes the data cannot be refused again: a text or JSON column could.
  if (!conversion.has(Field::body)) {
    const std::string raw(conversion.text(Field::raw_data));
    conversion.set(Field::body, raw);
  }
  conversion.unset(Field::raw_data);
  conversion.unset(Field::request_headers);
  if (conversion.reason != Reason::database_refused) {
    conversion.set(Field::fault_message, "the database refused a value: " + error);
    conversion.reason = Reason::database_refused;
  }
  flight->postbacks.clear();
  flight->quarantined_postbacks.assign(1, &postback);
  auto& waiting = flight->replay == nullptr ? waiting_ : replays_waiting_;
  waiting.push_front(std::move(flight));
}

}  // namespace postback::ingest
