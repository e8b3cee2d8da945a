#include "ingest/lane.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "ingest/limits.h"

namespace postback::ingest {
namespace {

std::string lane_name(const Partner& partner, uint32_t slice) {
  std::string name = "partner=" + partner.partner_code;
  if (partner.lanes > 1) name += " lane=" + std::to_string(slice);
  return name;
}

// A number that no other lane of this process has, past or present, and few of other processes.
// Lanes of different partners may share a database, and a lane shares it with its successor.
int64_t writer_of(uint32_t scope, const LaneEnvironment& environment) {
  const io::Courier& courier = *environment.courier;
  return environment.writer_base + int64_t{scope} * courier.core_count() + courier.own_core();
}

}  // namespace

Lane::Lane(const Partner& partner, uint32_t slice, uint32_t scope,
           const LaneEnvironment& environment)
    : partner_(partner),
      slice_(slice),
      scope_(scope),
      environment_(environment),
      url_(partner.effective_database_url),
      row_ids_(writer_of(scope, environment)),
      open_(std::make_unique<Flight>()) {
  store::StoreOptions options;
  options.url = url_;
  options.writer_id = writer_of(scope, environment);
  options.services = environment.services;
  options.loop = environment.loop;
  options.mailbox = environment.mailbox;
  options.clock = environment.clock;
  auto store = environment.make_store(options, this);
  CHECK(store.ok());  // The registry hands out only partners whose URL was checked.
  store_ = store.take();
}

Lane::~Lane() {
  CHECK(held_ == 0);
}

bool Lane::serves(const Partner& partner) const {
  return partner.id == partner_.id && partner.partner_code == partner_.partner_code &&
         partner.effective_database_url == url_ && partner.lanes == partner_.lanes;
}

void Lane::add(Postback& postback) {
  ++held_;
  ++counters_.received;
  if (postback.conversion.reason == Reason::none) {
    add_conversion(postback);
  } else if (!can_hold()) {
    finish(postback, Outcome::unavailable);
  } else {
    append(open_.get(), postback);
    mark_dirty();
  }
}

void Lane::add_conversion(Postback& postback) {
  const std::string_view id = postback.conversion.text(Field::conversion_id);
  if (environment_.dedupe->contains(scope_, id)) {
    count_duplicate();
    finish(postback, Outcome::duplicate);
    return;
  }
  if (!can_hold()) {
    finish(postback, Outcome::unavailable);
    return;
  }
  const auto [position, is_first] = in_flight_.try_emplace(id, &postback);
  if (!is_first) {
    Postback& first = *position->second;
    postback.waiters = first.waiters;
    first.waiters = &postback;
    return;
  }
  append(open_.get(), postback);
  mark_dirty();
}

bool Lane::can_hold() const {
  return !shedding_ && !retiring_ && held_ <= kLanePostbacksMax;
}

void Lane::append(Flight* flight, Postback& postback) {
  Conversion& conversion = postback.conversion;
  if (conversion.id == 0) conversion.id = row_ids_.next(conversion.received_at_us);
  flight->byte_count += conversion.byte_count();
  if (conversion.reason == Reason::none) {
    flight->postbacks.push_back(&postback);
  } else {
    flight->quarantined_postbacks.push_back(&postback);
  }
  if (flight == open_.get() &&
      (flight->row_count() >= kBatchRowsMax || flight->byte_count >= kBatchBytesMax)) {
    waiting_.push_back(std::move(open_));
    open_ = take_flight();
  }
}

void Lane::mark_dirty() {
  if (dirty_) return;
  dirty_ = true;
  environment_.dirty->push_back(this);
}

void Lane::flush() {
  dirty_ = false;
  while (store_->can_submit() && !store_closing_) {
    if (!waiting_.empty()) {
      std::unique_ptr<Flight> flight = std::move(waiting_.front());
      waiting_.pop_front();
      submit(std::move(flight));
    } else if (is_worth_a_batch()) {
      std::unique_ptr<Flight> flight = std::exchange(open_, take_flight());
      submit(std::move(flight));
    } else {
      break;
    }
  }
  if (retiring_) close_when_done();
}

bool Lane::is_worth_a_batch() const {
  const size_t row_count = open_->row_count();
  if (!submitted_.empty()) return row_count >= kBatchRowsPipelined;
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
  std::sort(
      flight->postbacks.begin(), flight->postbacks.end(), [](const Postback* a, const Postback* b) {
        return a->conversion.text(Field::conversion_id) < b->conversion.text(Field::conversion_id);
      });
  flight->conversions.clear();
  for (const Postback* postback : flight->postbacks) {
    flight->conversions.push_back({&postback->conversion, RowResult::pending});
  }
  flight->quarantined.clear();
  for (const Postback* postback : flight->quarantined_postbacks) {
    flight->quarantined.push_back(&postback->conversion);
  }
  flight->partner_id = partner_.id;
  flight->expected_new = true;  // Ids that memory knows never get here.
  flight->result = BatchResult::pending;
  flight->error.clear();
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
  const bool was_filing = flight->duplicate_count > 0;
  switch (batch.result) {
    case BatchResult::pending:
      CHECK(false);
      break;
    case BatchResult::committed:
      committed(*flight);
      break;
    case BatchResult::rejected:
      ++counters_.batches_failed;
      refused(std::move(flight));
      break;
    case BatchResult::unavailable:
    case BatchResult::schema:
      ++counters_.batches_failed;
      failed(*flight);
      break;
  }
  if (was_filing) {
    ++filings_done_;
    start_reads();
  }
  if (flight != nullptr) give_back(std::move(flight));
  mark_dirty();
}

void Lane::committed(Flight& flight) {
  for (size_t i = 0; i < flight.postbacks.size(); ++i) {
    Postback& postback = *flight.postbacks[i];
    const RowResult result = flight.conversions[i].result;
    CHECK(result != RowResult::pending);
    environment_.dedupe->add(scope_, postback.conversion.text(Field::conversion_id));
    finish_first(postback, result == RowResult::stored ? Outcome::success : Outcome::duplicate);
  }
  for (Postback* postback : flight.quarantined_postbacks) finish(*postback, Outcome::quarantined);
}

void Lane::failed(Flight& flight) {
  // What was not filed is filed later. Where the outcome is unknown this may count a repeat twice;
  // conversions and amounts never are, their rows are idempotent.
  if (flight.duplicate_count > 0) {
    duplicates_unfiled_ += flight.duplicate_count;
    duplicates_since_ns_ = environment_.loop->now_ns();
  }
  for (Postback* postback : flight.postbacks) finish_first(*postback, Outcome::unavailable);
  for (Postback* postback : flight.quarantined_postbacks) finish(*postback, Outcome::unavailable);
}

// The database refuses a value in the batch: cut it in halves until the row stands alone.
void Lane::refused(std::unique_ptr<Flight> flight) {
  if (flight->row_count() == 0) {
    LOG_ERROR("lane", lane_name(partner_, slice_) + " statistics refused: " + flight->error);
    return;  // Only counts: they cannot be filed, and nothing else depends on them.
  }
  duplicates_unfiled_ += std::exchange(flight->duplicate_count, 0);
  if (flight->row_count() == 1) {
    quarantine_refused_row(std::move(flight));
    return;
  }
  auto second = take_flight();
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
  waiting_.push_front(std::move(second));
  waiting_.push_front(std::move(flight));
}

void Lane::quarantine_refused_row(std::unique_ptr<Flight> flight) {
  LOG_WARNING("lane",
              lane_name(partner_, slice_) + " row refused by the database: " + flight->error);
  if (flight->postbacks.empty()) {
    Conversion& conversion = flight->quarantined_postbacks.front()->conversion;
    if (conversion.reason == Reason::database_refused) {  // Refused even so: see below.
      failed(*flight);
      return;
    }
  }
  Postback& postback = flight->postbacks.empty() ? *flight->quarantined_postbacks.front()
                                                 : *flight->postbacks.front();
  if (!flight->postbacks.empty()) {
    in_flight_.erase(postback.conversion.text(Field::conversion_id));
    // Repeats that waited with it are judged by themselves.
    Postback* waiter = std::exchange(postback.waiters, nullptr);
    while (waiter != nullptr) {
      Postback* next = std::exchange(waiter->waiters, nullptr);
      add_conversion(*waiter);
      waiter = next;
    }
  }
  // As bytes the data cannot be refused again: a text or JSON column could.
  Conversion& conversion = postback.conversion;
  if (!conversion.has(Field::body)) {
    const std::string raw(conversion.text(Field::raw_data));
    conversion.set(Field::body, raw);
  }
  conversion.unset(Field::raw_data);
  conversion.unset(Field::request_headers);
  conversion.reason = Reason::database_refused;
  conversion.set(Field::fault_message, "the database refused a value: " + flight->error);
  flight->postbacks.clear();
  flight->quarantined_postbacks.assign(1, &postback);
  waiting_.push_front(std::move(flight));
}

void Lane::store_changed() {
  const StoreState state = store_->status().state;
  const bool is_down = state == StoreState::down || state == StoreState::schema_wrong;
  if (is_down && !shedding_) {
    shedding_ = true;
    LOG_WARNING("lane", lane_name(partner_, slice_) + " database " + store_state_name(state) +
                            ": " + store_->status().error +
                            "; its postbacks are answered 503 until it is back");
  } else if (state == StoreState::up && shedding_) {
    shedding_ = false;
    LOG_INFO("lane", lane_name(partner_, slice_) + " database up again");
  }
  if (shedding_) fail_everything_waiting();
  mark_dirty();
}

void Lane::fail_everything_waiting() {
  for (const auto& flight : waiting_) failed(*flight);
  waiting_.clear();
  failed(*open_);
  give_back(std::exchange(open_, take_flight()));
  // Reads that wait for a filing which cannot start now go on and fail or tell what is stored.
  for (ReadJob* job : reads_waiting_) job->filing_needed = 0;
  start_reads();
}

void Lane::count_duplicate() {
  if (duplicates_unfiled_++ == 0) duplicates_since_ns_ = environment_.loop->now_ns();
}

void Lane::finish_first(Postback& first, Outcome outcome) {
  in_flight_.erase(first.conversion.text(Field::conversion_id));
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
  finish(first, outcome);
}

void Lane::finish(Postback& postback, Outcome outcome) {
  CHECK(held_ > 0);
  --held_;
  switch (outcome) {
    case Outcome::pending:
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
  if (outcome != Outcome::unavailable) {
    // The clock itself: the loop's time stands still for the turn, in which a repeat is decided.
    const uint64_t now_ns = environment_.clock->monotonic_ns();
    constexpr uint64_t kMicrosecondNs = 1000;  // Rounded up: what took place took time.
    const uint64_t took_ns = now_ns > postback.started_ns ? now_ns - postback.started_ns : 0;
    counters_.latency_us.add(took_ns / kMicrosecondNs + 1);
  }
  postback.outcome = outcome;
  postback.receiver = postback.origin;
  environment_.courier->send(postback.origin_core, postback);
}

void Lane::read(ReadJob& job) {
  job.latency_us.merge(counters_.latency_us);
  if (reads_waiting_.size() + reads_running_ >= kLaneReadsMax || retiring_) {
    job.ok = false;
    job.error = "too many reads of this partner at once";
    job.slice = job.slice_count - 1;
    return_read(job);
    return;
  }
  // Repeats counted so far are filed first, so that the statistics hold them.
  if (duplicates_unfiled_ > 0 && !shedding_) {
    job.filing_needed = filings_started_ + 1;
    counts_due_ = true;
    mark_dirty();
  } else {
    job.filing_needed = filings_started_;
  }
  reads_waiting_.push_back(&job);
  start_reads();
}

void Lane::start_reads() {
  while (!reads_waiting_.empty() && reads_waiting_.front()->filing_needed <= filings_done_) {
    ReadJob& job = *reads_waiting_.front();
    reads_waiting_.pop_front();
    if (job.slice + 1 < job.slice_count) {
      return_read(job);
    } else {
      ++reads_running_;
      store_->read(job);
    }
  }
}

void Lane::read_done(StoreRead& read) {
  --reads_running_;
  return_read(static_cast<ReadJob&>(read));
}

void Lane::return_read(ReadJob& job) {
  if (job.slice + 1 < job.slice_count) {
    ++job.slice;
    const uint32_t core = home_core(partner_.id, job.slice, environment_.courier->core_count());
    job.receiver = (*environment_.receivers)[core].reads;
    environment_.courier->send(core, job);
  } else {
    job.receiver = job.origin;
    environment_.courier->send(job.origin_core, job);
  }
}

void Lane::tick(uint64_t now_ns) {
  store_->tick(now_ns);
  if (duplicates_unfiled_ > 0 && now_ns > duplicates_since_ns_ + kCountsDelayNs) {
    counts_due_ = true;
    mark_dirty();
  }
  if (retiring_) mark_dirty();
}

void Lane::warm_up() {
  store_->open();
}

void Lane::retire() {
  retiring_ = true;
  counts_due_ = true;
  mark_dirty();
}

void Lane::close_when_done() {
  if (store_closing_ || held_ > 0 || !submitted_.empty()) return;
  if (duplicates_unfiled_ > 0 && !shedding_) return;  // The next flush files them.
  for (ReadJob* job : reads_waiting_) job->filing_needed = 0;
  start_reads();
  store_closing_ = true;
  store_->close();
}

std::unique_ptr<Lane::Flight> Lane::take_flight() {
  if (spare_.empty()) return std::make_unique<Flight>();
  std::unique_ptr<Flight> flight = std::move(spare_.back());
  spare_.pop_back();
  return flight;
}

void Lane::give_back(std::unique_ptr<Flight> flight) {
  flight->postbacks.clear();
  flight->quarantined_postbacks.clear();
  flight->conversions.clear();
  flight->quarantined.clear();
  flight->duplicate_count = 0;
  flight->byte_count = 0;
  spare_.push_back(std::move(flight));
}

}  // namespace postback::ingest
