#include "ingest/lane.h"

#include <absl/hash/hash.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "ingest/limits.h"
#include "ingest/owner_routes.h"

namespace postback::ingest {
namespace {

// A number that no other lane of this process has, past or present, and few of other processes.
// Lanes of different partners may share a database, and a lane shares it with its successor.
int64_t writer_of(uint32_t scope, const LaneEnvironment& environment) {
  const io::Courier& courier = *environment.courier;
  return environment.writer_base + int64_t{scope} * courier.core_count() + courier.own_core();
}

}  // namespace

uint32_t slice_of(const Partner& partner, std::string_view conversion_id) {
  if (partner.lanes <= 1) return 0;
  return static_cast<uint32_t>(absl::HashOf(conversion_id) % static_cast<uint32_t>(partner.lanes));
}

Lane::Lane(const Partner& partner, uint32_t slice, uint32_t scope,
           const LaneEnvironment& environment)
    : partner_(partner),
      slice_(slice),
      environment_(environment),
      memory_(environment.dedupe, scope),
      tail_(environment.journal == nullptr ? 0 : environment.failover_tail_ns),
      url_(partner.effective_database_url),
      row_ids_(writer_of(scope, environment)),
      open_(std::make_unique<Flight>()),
      spill_(environment.journal, environment.spill_bytes_max, environment.mailbox, this,
             owner_of(partner)),
      backlog_(environment.backlog == nullptr ? nullptr
                                              : &environment.backlog->of(owner_of(partner))) {
  store::StoreOptions options;
  options.url = url_;
  options.partner_id = partner.id;
  options.partner_code = partner.partner_code;
  options.registry_id = partner.registry_id;
  options.memory_epoch = partner.memory_epoch;
  options.writer_id = writer_of(scope, environment);
  options.services = environment.services;
  options.loop = environment.loop;
  options.mailbox = environment.mailbox;
  options.clock = environment.clock;
  auto store = environment.make_store(options, this);
  CHECK(store.ok());  // The registry hands out only partners whose URL was checked.
  store_ = store.take();
  if (environment.gate != nullptr) server_ = &environment.gate->server_of(url_);
  if (backlog_ != nullptr) learn_recovered_ids();
}

Lane::~Lane() {
  CHECK(held_ == 0 && replays_waiting_.empty() && replays_in_flight_ == 0);
  if (away_) backlog_->lane_back();
  if (slot_wanted_) server_->forget(this);
  if (slot_ready_) server_->leave();
}

std::string Lane::name() const {
  std::string name = "partner=" + partner_.partner_code;
  if (partner_.lanes > 1) name += " lane=" + std::to_string(slice_);
  return name;
}

bool Lane::serves(const Partner& partner) const {
  return owner_of(partner) == owner_of(partner_) && partner.effective_database_url == url_ &&
         partner.lanes == partner_.lanes && partner.memory_epoch == partner_.memory_epoch;
}

void Lane::add(Postback& postback) {
  ++held_;
  ++counters_.received;
  if (postback.conversion.reason == Reason::none) {
    add_conversion(postback);
  } else if (!can_hold()) {
    finish(postback, Outcome::unavailable);
  } else {
    take(postback);
  }
}

void Lane::add_conversion(Postback& postback) {
  const std::string_view id = postback.conversion.text(Field::conversion_id);
  // Worked out once for all that asks for this id.
  postback.id_hash = memory_.hash_of(id);
  if (memory_.knows(id, postback.id_hash)) {
    count_duplicate();
    finish(postback, Outcome::duplicate);
    return;
  }
  if (!can_hold()) {
    finish(postback, Outcome::unavailable);
    return;
  }
  const auto [position, is_first] = in_flight_.try_emplace({postback.id_hash, id}, &postback);
  if (!is_first) {
    Postback& first = *position->second;
    postback.waiters = first.waiters;
    first.waiters = &postback;
    return;
  }
  take(postback);
}

bool Lane::can_hold() const {
  const bool has_way = health_ == LaneHealth::up || spill_.available();
  return has_way && !retiring_ && held_ <= kLanePostbacksMax;
}

// A first copy, or what goes to the quarantine: towards the database, or else into the journal.
void Lane::take(Postback& postback) {
  Conversion& conversion = postback.conversion;
  if (conversion.id == 0) {
    conversion.id = row_ids_.next(environment_.clock->id_time_us(conversion.received_at_us));
  }
  if (health_ == LaneHealth::up) {
    append(open_.get(), postback);
  } else {
    spill(postback);
  }
  mark_dirty();
}

void Lane::append(Flight* flight, Postback& postback) {
  const Conversion& conversion = postback.conversion;
  if (flight->row_count() == 0) flight->begun_ns = environment_.loop->now_ns();
  flight->byte_count += conversion.byte_count();
  if (conversion.reason == Reason::none) {
    flight->postbacks.push_back(&postback);
  } else {
    flight->quarantined_postbacks.push_back(&postback);
  }
  if (flight == open_.get() &&
      (flight->row_count() >= kBatchRowsMax || flight->byte_count >= kBatchBytesMax)) {
    waiting_.push_back(std::move(open_));
    open_ = flights_.take();
  }
}

void Lane::mark_dirty() {
  if (dirty_) return;
  dirty_ = true;
  environment_.dirty->push_back(this);
}

void Lane::flush() {
  dirty_ = false;
  if (suspect_waits_) submit_replays();  // Live postbacks leave it a moment for itself.
  while (store_->can_submit() && !store_closing_ && !suspect_waits_ && !is_trying_suspects()) {
    if (waiting_.empty() && !is_worth_a_batch()) break;
    if (!take_slot()) break;
    std::unique_ptr<Flight> flight;
    if (!waiting_.empty()) {
      flight = std::move(waiting_.front());
      waiting_.pop_front();
    } else {
      flight = std::exchange(open_, flights_.take());
    }
    if (std::unique_ptr<Flight> rest = cut_to_size(flight.get(), kBatchRowsMax)) {
      waiting_.push_front(std::move(rest));
    }
    const bool is_to_wait = flight->is_suspect && !submitted_.empty();
    if (is_to_wait || is_refused(*flight)) slot_ready_ = server_ != nullptr;  // Not used by it.
    if (is_to_wait) {
      waiting_.push_front(std::move(flight));
      break;
    }
    if (is_refused(*flight)) {
      const std::string error = suspects_.error(*flight->postbacks.front());
      quarantine_refused_row(std::move(flight), error);
      continue;
    }
    submit(std::move(flight));
  }
  submit_replays();
  if (std::exchange(slot_ready_, false)) server_->leave();
  spill_.flush();
  update_away();
  if (retiring_) close_when_done();
}

bool Lane::take_slot() {
  if (server_ == nullptr || std::exchange(slot_ready_, false)) return true;
  if (slot_wanted_) return false;
  if (server_->enter(this)) return true;
  slot_wanted_ = true;
  slot_wanted_ns_ = environment_.loop->now_ns();
  return false;
}

void Lane::slot_granted() {
  slot_wanted_ = false;
  slot_ready_ = true;
  mark_dirty();
}

void Lane::give_slot_back(Flight* flight) {
  if (std::exchange(flight->has_slot, false)) server_->leave();
}

bool Lane::is_trying_suspects() const {
  return submitted_.size() == 1 && submitted_.front()->is_suspect;
}

bool Lane::is_worth_a_batch() const {
  const size_t row_count = open_->row_count();
  const bool is_beside_another = submitted_.size() > replays_in_flight_;
  if (is_beside_another) {
    return row_count >= std::min(kBatchRowsPipelined, batch_size_.rows_max());
  }
  return row_count > 0 || (counts_due_ && duplicates_unfiled_ > 0);
}

void Lane::submit(std::unique_ptr<Flight> flight) {
  if (duplicates_unfiled_ > 0 && flight->duplicate_count == 0) {
    flight->duplicate_count = std::exchange(duplicates_unfiled_, 0);
    flight->duplicates_at_us = environment_.clock->wall_us();
    counts_due_ = false;
    ++filings_started_;
  }
  // Sorted keys: two servers on one database lock them in the same order and cannot deadlock.
  id_order_.sort(&flight->postbacks);
  flight->conversions.clear();
  for (Postback* postback : flight->postbacks) {
    postback->with_store = true;
    flight->conversions.push_back({&postback->conversion, RowResult::pending});
  }
  flight->quarantined.clear();
  for (Postback* postback : flight->quarantined_postbacks) {
    postback->with_store = true;
    flight->quarantined.push_back(&postback->conversion);
  }
  flight->partner_id = partner_.id;
  // Ids that memory knows never get here, but from the journal.
  flight->expected_new = memory_.is_believed();
  memory_.ask(flight.get());
  flight->submitted_ns = environment_.loop->now_ns();
  flight->has_slot = server_ != nullptr;
  if (flight->row_count() == 0) flight->begun_ns = flight->submitted_ns;
  flight->result = BatchResult::pending;
  flight->error.clear();
  flight->id_taken = false;
  if (flight->replay == nullptr && environment_.backlog != nullptr) {
    environment_.backlog->note_live(flight->submitted_ns);
  }
  ++counters_.batches;
  counters_.batch_rows.add(flight->row_count());
  Batch& batch = *flight;
  submitted_.push_back(std::move(flight));
  store_->submit(batch);
}

void Lane::batch_done(Batch& batch) {
  CHECK(!submitted_.empty() && submitted_.front().get() == &batch);
  std::unique_ptr<Flight> flight = std::move(submitted_.front());
  submitted_.pop_front();
  give_slot_back(flight.get());
  if (flight->replay != nullptr) replay_batch_done(*flight);
  if (memory_.answered(batch)) forget_memory("newest ids are not in its database any more");
  const bool was_filing = flight->duplicate_count > 0;
  switch (batch.result) {
    case BatchResult::pending:
      CHECK(false);
      break;
    case BatchResult::committed:
      note_committed(*flight);
      committed(*flight);
      break;
    case BatchResult::rejected:
      ++counters_.batches_failed;
      refused(std::move(flight));
      break;
    case BatchResult::unavailable:
    case BatchResult::schema:
      ++counters_.batches_failed;
      note_failure(*flight);
      failed(*flight);
      break;
  }
  if (was_filing) {
    ++filings_done_;
    start_reads();
  }
  if (flight != nullptr) flights_.give_back(std::move(flight));
  update_away();
  mark_dirty();
}

void Lane::committed(Flight& flight) {
  if (tail_.is_on()) keep_tail(flight);
  const Postback* last = flight.postbacks.empty() ? nullptr : flight.postbacks.back();
  memory_.note_committed(
      last == nullptr ? std::string_view() : last->conversion.text(Field::conversion_id),
      environment_.loop->now_ns());
  for (size_t i = 0; i < flight.postbacks.size(); ++i) {
    Postback& postback = *flight.postbacks[i];
    const RowResult result = flight.conversions[i].result;
    CHECK(result != RowResult::pending);
    const std::string_view id = postback.conversion.text(Field::conversion_id);
    const bool is_call = postback.replay == nullptr;
    const uint64_t hash = is_call ? postback.id_hash : memory_.hash_of(id);
    memory_.add(id, hash);
    const Outcome outcome = result == RowResult::stored ? Outcome::success : Outcome::duplicate;
    if (is_spilled(postback)) {
      settle(postback, outcome);
    } else {
      finish_first(postback, outcome);
    }
  }
  for (Postback* postback : flight.quarantined_postbacks) {
    if (is_spilled(*postback)) {
      settle(*postback, Outcome::quarantined);
    } else {
      finish(*postback, Outcome::quarantined);
    }
  }
}

// The database did not take the batch: its postbacks go to the journal, if there is one.
void Lane::failed(Flight& flight) {
  // What was not filed is filed later. Where the outcome is unknown this may count a repeat twice;
  // conversions and amounts never are, their rows are idempotent.
  if (flight.duplicate_count > 0) {
    duplicates_unfiled_ += flight.duplicate_count;
    duplicates_since_ns_ = environment_.loop->now_ns();
  }
  for (const auto* postbacks : {&flight.postbacks, &flight.quarantined_postbacks}) {
    for (Postback* postback : *postbacks) {
      if (is_spilled(*postback)) {
        leave_to_journal(*postback);
      } else if (postback->replay != nullptr) {
        if (!move_behind(*postback)) finish(*postback, Outcome::unavailable);
      } else {
        postback->with_store = false;
        spill(*postback);
      }
    }
  }
}

void Lane::store_changed() {
  const StoreStatus status = store_->status();
  const StoreState state = status.state;
  if (memory_.store_changed(status)) {
    forget_memory("its database is not the one it was");
    replay_tail();
  }
  if (state == StoreState::down || state == StoreState::schema_wrong) {
    set_health(LaneHealth::down);
  } else if (state == StoreState::up && health_ == LaneHealth::down) {
    set_health(LaneHealth::up);
  }
  if (health_ == LaneHealth::down) clear_waiting();
  mark_dirty();
}

void Lane::set_health(LaneHealth health) {
  if (health == health_) return;
  const bool was_up = std::exchange(health_, health) == LaneHealth::up;
  update_away();
  const std::string then = spill_.takes() ? "; its postbacks go to the journal until it is back"
                                          : "; its postbacks are answered 503 until it is back";
  const StoreStatus status = store_->status();
  if (backlog_ != nullptr && health == LaneHealth::down) tell_stuck(nullptr, status.error);
  if (health == LaneHealth::up) {
    LOG_INFO("lane", name() + " database up again");
  } else if (health == LaneHealth::suspect) {
    LOG_WARNING("lane", name() + " database has not answered in time" + then);
  } else {
    LOG_WARNING("lane", name() + " database " + store_state_name(status.state) + ": " +
                            status.error + (was_up ? then : ""));
  }
}

// What no batch has taken yet does not wait for a database that is away or late.
void Lane::clear_waiting() {
  for (const auto& flight : waiting_) failed(*flight);
  waiting_.clear();
  failed(*open_);
  flights_.give_back(std::exchange(open_, flights_.take()));
  fail_replays();
  // Reads that wait for a filing which cannot start now go on and fail or tell what is stored.
  for (ReadJob* job : reads_waiting_) job->filing_needed = 0;
  start_reads();
}

void Lane::count_duplicate() {
  if (duplicates_unfiled_++ == 0) duplicates_since_ns_ = environment_.loop->now_ns();
}

void Lane::count_fate(Outcome outcome) {
  switch (outcome) {
    case Outcome::pending:
    case Outcome::accepted:  // Its fate is told by the drain.
      CHECK(false);
      break;
    case Outcome::success:
      ++counters_.stored;
      break;
    case Outcome::duplicate:
      ++counters_.duplicate;
      break;
    case Outcome::quarantined:
      ++counters_.quarantined;
      break;
    case Outcome::unavailable:
      ++counters_.unavailable;
      break;
  }
}

void Lane::finish_first(Postback& first, Outcome outcome) {
  if (first.replay == nullptr) finish_waiters(first, outcome);
  finish(first, outcome);
}

void Lane::finish_waiters(Postback& first, Outcome outcome) {
  in_flight_.erase({first.id_hash, first.conversion.text(Field::conversion_id)});
  Postback* waiter = std::exchange(first.waiters, nullptr);
  while (waiter != nullptr) {
    Postback* next = std::exchange(waiter->waiters, nullptr);
    if (outcome == Outcome::unavailable) {
      finish(*waiter, Outcome::unavailable);
    } else {
      count_duplicate();
      finish(*waiter, Outcome::duplicate);
    }
    waiter = next;
  }
}

void Lane::finish(Postback& postback, Outcome outcome) {
  if (postback.replay != nullptr) {
    finish_replayed(postback, outcome);
    return;
  }
  if (!postback.journaled) count_fate(outcome);
  ++counters_.answers[static_cast<size_t>(outcome)];
  if (outcome != Outcome::unavailable) {
    // The clock itself: the loop's time stands still for the turn, in which a repeat is decided.
    const uint64_t now_ns = environment_.clock->monotonic_ns();
    constexpr uint64_t kMicrosecondNs = 1000;  // Rounded up: what took place took time.
    const uint64_t took_ns = now_ns > postback.started_ns ? now_ns - postback.started_ns : 0;
    counters_.latency_us.add(took_ns / kMicrosecondNs + 1);
  }
  postback.outcome = outcome;
  send_back(postback);
}

void Lane::send_back(Postback& postback) {
  CHECK(held_ > 0 && postback.spill_part == nullptr);
  --held_;
  postback.with_store = false;
  postback.receiver = postback.origin;
  environment_.courier->send(postback.origin_core, postback);
}

void Lane::tick(uint64_t now_ns) {
  store_->tick(now_ns);
  memory_.tick(now_ns);
  if (memory_.has_journaled() && !journal_has_records()) memory_.journal_drained();
  if (duplicates_unfiled_ > 0 && now_ns > duplicates_since_ns_ + kCountsDelayNs) {
    counts_due_ = true;
    mark_dirty();
  }
  for (const auto& flight : submitted_) {
    if (now_ns > flight->submitted_ns + SubmitGate::kSlotNs) give_slot_back(flight.get());
  }
  if (slot_wanted_ && now_ns > slot_wanted_ns_ + SubmitGate::kSlotNs) {
    server_->forget(this);
    server_->enter_past_bound();
    slot_granted();
  }
  watch_budget(now_ns);
  if (now_ns > kSpillLimitNs) spill_.give_up_before(now_ns - kSpillLimitNs);
  spill_.tick(now_ns);
  if (retiring_ || !replays_waiting_.empty() || !replays_deferred_.empty()) mark_dirty();
}

void Lane::warm_up() {
  store_->open();
}

void Lane::retire() {
  retiring_ = true;
  counts_due_ = true;
  fail_replays();
  update_away();
  mark_dirty();
}

void Lane::close_when_done() {
  if (store_closing_ || held_ > 0 || !submitted_.empty() || !spill_.idle()) return;
  if (!replays_waiting_.empty() || !replays_deferred_.empty()) fail_replays();  // Parts of batches.
  if (duplicates_unfiled_ > 0 && health_ == LaneHealth::up) return;  // The next flush files them.
  for (ReadJob* job : reads_waiting_) job->filing_needed = 0;
  start_reads();
  store_closing_ = true;
  store_->close();
}

}  // namespace postback::ingest
