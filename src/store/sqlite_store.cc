#include "store/sqlite_store.h"

#include <algorithm>

#include "base/check.h"
#include "base/time.h"
#include "store/services.h"
#include "store/sqlite_database.h"

namespace postback::store {
namespace {

constexpr uint64_t kNsPerMs = 1'000'000;
// A lock, another server or a full disk is often gone soon, and asking costs a local file little.
constexpr uint64_t kBackOffMsMin = 100;
constexpr uint64_t kBackOffMsMax = 500;
constexpr uint64_t kSchemaRetryMs = 5000;

BatchResult batch_result(SqliteResult result) {
  switch (result) {
    case SqliteResult::ok:
      return BatchResult::committed;
    case SqliteResult::busy:
    case SqliteResult::unavailable:
      return BatchResult::unavailable;
    case SqliteResult::rejected:
      return BatchResult::rejected;
    case SqliteResult::schema:
      return BatchResult::schema;
  }
  return BatchResult::unavailable;
}

}  // namespace

std::unique_ptr<Store> make_sqlite_store(const StoreOptions& options, const std::string& path,
                                         StoreClient* client) {
  SqliteDatabase& database = options.services->impl().sqlite.at(path);
  return std::make_unique<SqliteStore>(options, &database, client);
}

SqliteStore::SqliteStore(const StoreOptions& options, SqliteDatabase* database, StoreClient* client)
    : options_(options), database_(database), client_(client) {
  for (SqliteJob& job : write_jobs_) job.kind = SqliteJob::Kind::write;
  open_job_.kind = SqliteJob::Kind::open;
  leave_job_.kind = SqliteJob::Kind::leave;
}

SqliteStore::~SqliteStore() {
  CHECK(nothing_outstanding() && !joined_);
}

bool SqliteStore::can_submit() const {
  if (closing_) return false;
  switch (state_) {
    case StoreState::idle:
    case StoreState::connecting:
      return batches_in_flight_ == 0;
    case StoreState::up:
      return batches_in_flight_ < kBatchesInFlightMax;
    case StoreState::down:
    case StoreState::schema_wrong:
      return false;
  }
  return false;
}

void SqliteStore::submit(Batch& batch) {
  CHECK(can_submit());
  const auto job = std::find_if(write_jobs_.begin(), write_jobs_.end(),
                                [](const SqliteJob& slot) { return slot.batch == nullptr; });
  CHECK(job != write_jobs_.end());
  batch.result = BatchResult::pending;
  for (BatchRow& row : batch.conversions) row.result = RowResult::pending;
  job->batch = &batch;
  job->writer_id = options_.writer_id;
  ++batches_in_flight_;
  if (state_ == StoreState::idle) state_ = StoreState::connecting;
  post(&*job);
}

void SqliteStore::read(StoreRead& read) {
  CHECK(!closing_);
  read.ok = false;
  read.error.clear();
  read.stats = StoreStats();
  read.conversions.clear();
  read.more = false;
  SqliteJob* job = read_jobs_.emplace_back(std::make_unique<SqliteJob>()).get();
  job->kind = SqliteJob::Kind::read;
  job->read = &read;
  job->give_up_at_ns =
      base::system_clock().monotonic_ns() + static_cast<uint64_t>(options_.read_ms) * kNsPerMs;
  // A database that was up is read even while it cannot be written. One that was never opened may
  // lack its tables, or not exist.
  if (was_up_ && state_ != StoreState::idle) return post(job);
  reads_held_.push_back(job);
  if (!opening_) post_open();
}

void SqliteStore::open() {
  if (state_ == StoreState::idle && !opening_ && !closing_) post_open();
}

void SqliteStore::close() {
  CHECK(!closing_);
  closing_ = true;
  if (nothing_outstanding()) post_leave();
}

StoreStatus SqliteStore::status() const {
  StoreStatus status;
  status.state = state_;
  status.error = error_;
  status.connections = state_ == StoreState::up ? 1 : 0;
  status.batches_in_flight = batches_in_flight_;
  return status;
}

void SqliteStore::tick(uint64_t now_ns) {
  now_ns_ = now_ns;
  if (used_ || used_ns_ == 0) used_ns_ = now_ns;
  used_ = false;
  if (closing_) return;
  watch_overdue(now_ns);
  give_up_held_reads();
  if (opening_ || batches_in_flight_ > 0) return;
  retry(now_ns);
  const uint64_t idle_ns = static_cast<uint64_t>(options_.idle_ms) * kNsPerMs;
  if (state_ == StoreState::up && nothing_outstanding() && now_ns - used_ns_ >= idle_ns) {
    state_ = StoreState::idle;
    post_leave();
    client_->store_changed();
  }
}

void SqliteStore::retry(uint64_t now_ns) {
  if (state_ != StoreState::down && state_ != StoreState::schema_wrong) return;
  // The clock of the answer is not known here; the back-off begins with the first tick after it.
  if (retry_at_ns_ == 0) retry_at_ns_ = now_ns + back_off_ms_ * kNsPerMs;
  if (now_ns >= retry_at_ns_) post_open();
}

void SqliteStore::watch_overdue(uint64_t now_ns) {
  bool late = opening_ && overdue(&open_job_, now_ns);
  for (SqliteJob& job : write_jobs_) late |= job.batch != nullptr && overdue(&job, now_ns);
  if (!late || state_ == StoreState::down || state_ == StoreState::schema_wrong) return;
  state_ = StoreState::down;
  error_ = "SQLite: no answer within " + std::to_string(options_.batch_ms) +
           " ms; the disk is slow or hangs";
  client_->store_changed();
}

// Reads that wait for an open that does not come; nobody else refers to them yet.
void SqliteStore::give_up_held_reads() {
  const uint64_t now_ns = base::system_clock().monotonic_ns();
  while (!reads_held_.empty() && now_ns >= reads_held_.front()->give_up_at_ns) {
    SqliteJob* job = reads_held_.front();
    reads_held_.erase(reads_held_.begin());
    job->result = SqliteResult::unavailable;
    job->error = "SQLite: the database could not be opened within " +
                 std::to_string(options_.read_ms) + " ms";
    answered(job);
  }
}

bool SqliteStore::overdue(SqliteJob* job, uint64_t now_ns) const {
  if (job->first_tick_ns == 0) job->first_tick_ns = now_ns;
  return now_ns - job->first_tick_ns >= static_cast<uint64_t>(options_.batch_ms) * kNsPerMs;
}

void SqliteStore::receive(Message& message) {
  auto* job = static_cast<SqliteJob*>(&message);
  if (job->joins) {  // It never reached the writer.
    joined_ = false;
    job->joins = false;
  }
  switch (job->kind) {
    case SqliteJob::Kind::open:
      opened(*job);
      break;
    case SqliteJob::Kind::write:
      written(job);
      break;
    case SqliteJob::Kind::read:
      answered(job);
      break;
    case SqliteJob::Kind::leave:
      if (!job->given_back.load(std::memory_order_acquire)) {
        // It is about to be, by a thread that has only its wake-up left: look again next turn.
        options_.mailbox->post(*job);
        return;
      }
      leaving_ = false;
      break;
  }
  if (!closing_ || !nothing_outstanding()) return;
  if (joined_) {
    post_leave();
  } else {
    state_ = StoreState::idle;
    client_->store_closed();
  }
}

void SqliteStore::opened(const SqliteJob& job) {
  opening_ = false;
  enter(job.result, job.error);
  std::vector<SqliteJob*> held;
  held.swap(reads_held_);
  for (SqliteJob* read : held) {
    if (job.result == SqliteResult::ok) {
      post(read);
    } else {
      read->result = job.result;
      read->error = job.error;
      answered(read);
    }
  }
  client_->store_changed();
}

void SqliteStore::written(SqliteJob* job) {
  Batch& batch = *job->batch;
  job->batch = nullptr;
  --batches_in_flight_;
  batch.result = batch_result(job->result);
  batch.error = std::move(job->error);
  if (batch.result != BatchResult::committed) {
    for (BatchRow& row : batch.conversions) row.result = RowResult::pending;
  }
  // A refused value says nothing against the database.
  enter(job->result == SqliteResult::rejected ? SqliteResult::ok : job->result, batch.error);
  client_->batch_done(batch);
  client_->store_changed();
}

void SqliteStore::answered(SqliteJob* job) {
  StoreRead& read = *job->read;
  read.ok = job->result == SqliteResult::ok;
  read.error = std::move(job->error);
  const auto entry = std::find_if(read_jobs_.begin(), read_jobs_.end(),
                                  [job](const auto& owned) { return owned.get() == job; });
  CHECK(entry != read_jobs_.end());
  read_jobs_.erase(entry);
  client_->read_done(read);
}

void SqliteStore::enter(SqliteResult result, const std::string& error) {
  retry_at_ns_ = 0;
  if (result == SqliteResult::ok) {
    state_ = StoreState::up;
    was_up_ = true;
    back_off_ms_ = 0;
    error_.clear();
    return;
  }
  const bool schema = result == SqliteResult::schema;
  state_ = schema ? StoreState::schema_wrong : StoreState::down;
  back_off_ms_ =
      schema ? kSchemaRetryMs : std::clamp(back_off_ms_ * 2, kBackOffMsMin, kBackOffMsMax);
  error_ = error;
}

void SqliteStore::post(SqliteJob* job) {
  used_ = true;
  job->first_tick_ns = 0;
  job->result = SqliteResult::ok;
  job->error.clear();
  // A lock held elsewhere must show as such before the time limit does; a third is left for the
  // way there and for the group before.
  job->limit_ms = options_.batch_ms * 2 / 3;
  job->reply_mailbox = options_.mailbox;
  job->reply_receiver = this;
  if (job->kind == SqliteJob::Kind::open || job->kind == SqliteJob::Kind::write) {
    job->joins = !joined_;
    joined_ = true;
  }
  database_->post(job);
}

void SqliteStore::post_open() {
  opening_ = true;
  // After a failure the state stays `down` until the open succeeded: a batch would wait in vain.
  if (state_ == StoreState::idle) state_ = StoreState::connecting;
  post(&open_job_);
}

void SqliteStore::post_leave() {
  leaving_ = true;
  leave_job_.given_back.store(false, std::memory_order_relaxed);
  if (joined_) {
    joined_ = false;
    post(&leave_job_);
  } else {
    // Nothing to leave; but store_closed() never comes from within close().
    leave_job_.reply_mailbox = options_.mailbox;
    leave_job_.reply_receiver = this;
    reply(&leave_job_);
  }
}

bool SqliteStore::nothing_outstanding() const {
  return batches_in_flight_ == 0 && !opening_ && !leaving_ && read_jobs_.empty();
}

}  // namespace postback::store
