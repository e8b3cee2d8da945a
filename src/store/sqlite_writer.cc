#include "store/sqlite_writer.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "base/file_sync.h"
#include "base/log.h"
#include "base/time.h"
#include "store/sqlite_reader.h"
#include "store/sqlite_schema.h"

namespace postback::store {

void SqliteWriter::serve() {
  take_group(&group_);
  SqliteJob* first = group_.front();
  if (first->kind == SqliteJob::Kind::leave) return leave(first);
  const int limit_ms = (*std::min_element(group_.begin(), group_.end(), [](auto* a, auto* b) {
                         return a->limit_ms < b->limit_ms;
                       }))->limit_ms;
  connection_.set_busy_until(base::system_clock().monotonic_ns() +
                             static_cast<uint64_t>(limit_ms) * 1'000'000);
  SqliteResult result = open();
  if (result == SqliteResult::ok) {
    refuse_strangers(&group_);
    result = commit(group_);
  } else {
    finish(group_, result);
  }
  if (result == SqliteResult::ok || result == SqliteResult::rejected) {
    checkpoint_if_over(kCheckpointPagesLoaded);
  } else {
    // What waited while this failed would only wait as long again: it shares the outcome.
    collect();
    fail_waiting(result);
  }
}

// A group is one leave, or the batches and opens in front, up to the bound on rows.
void SqliteWriter::take_group(std::vector<SqliteJob*>* group) {
  group->clear();
  size_t row_count = 0;
  while (!waiting().empty()) {
    SqliteJob* job = waiting().front();
    const bool leaves = job->kind == SqliteJob::Kind::leave;
    const size_t rows =
        job->batch != nullptr ? job->batch->conversions.size() + job->batch->quarantined.size() : 0;
    if (!group->empty() && (leaves || row_count + rows > kRowsPerTransactionMax)) return;
    waiting().pop_front();
    count_user(job);
    group->push_back(job);
    row_count += rows;
    if (leaves) return;
  }
}

// Answers every job of the group. The result: ok or rejected where the database works.
SqliteResult SqliteWriter::commit(std::span<SqliteJob* const> group) {
  const SqliteResult result = write_transaction(group);
  if (result == SqliteResult::rejected && group.size() > 1) {
    // One of them holds a refused value. It is so rare that the others are simply written again,
    // each in its own transaction, rather than guarded by savepoints, which copy pages.
    SqliteResult worst = SqliteResult::ok;
    for (SqliteJob* const& job : group) {
      const SqliteResult alone = commit(std::span(&job, 1));
      if (alone != SqliteResult::ok && alone != SqliteResult::rejected) worst = alone;
    }
    return worst;
  }
  if (result != SqliteResult::ok && result != SqliteResult::rejected &&
      result != SqliteResult::busy) {
    finish(group, result);
    close_connection();
    return result;
  }
  finish(group, result);
  return result;
}

// All or nothing, except for an outcome in doubt (see files_moved() below).
SqliteResult SqliteWriter::write_transaction(std::span<SqliteJob* const> group) {
  SqliteResult result = open();
  if (result != SqliteResult::ok) return result;
  if (std::all_of(group.begin(), group.end(), [](auto* job) { return job->batch == nullptr; })) {
    return result;
  }
  result = connection_.run("BEGIN IMMEDIATE");
  if (result != SqliteResult::ok) return result;
  for (SqliteJob* job : group) {
    if (job->batch == nullptr) continue;
    result = inserter_.apply(job->batch, job->writer_id);
    if (result != SqliteResult::ok) break;
  }
  if (result == SqliteResult::ok) result = connection_.make_room();
  if (result == SqliteResult::ok) result = connection_.run("COMMIT");
  if (result != SqliteResult::ok) {
    const std::string error = connection_.error();
    // Some errors have rolled back already (FULL, IOERR, NOMEM).
    if (connection_.in_transaction() && connection_.run("ROLLBACK") != SqliteResult::ok) {
      close_connection();
    }
    return connection_.fail(result, error);
  }
  // Looked at after the commit: had somebody deleted or replaced the files before it, the rows
  // went to a file without a name, and must not be acknowledged; without the lock file another
  // server may be writing too. A few stat() beside an fsync.
  if (connection_.files_moved() || !lock_.is_in_place()) {
    return connection_.fail(
        SqliteResult::unavailable,
        "SQLite " + path_ +
            ": the database file, its -wal file or its -lock file was deleted or"
            " replaced while in use; opening it again");
  }
  return result;
}

SqliteResult SqliteWriter::open() {
  if (connection_.is_open()) return SqliteResult::ok;
  const SqliteResult result = open_files();
  if (result != SqliteResult::ok) {
    const std::string error = connection_.error();
    close_connection();
    connection_.fail(result, error);
  }
  return result;
}

SqliteResult SqliteWriter::open_files() {
  const base::Status folder = base::make_folders(std::filesystem::path(path_).parent_path());
  if (!folder.ok()) return connection_.fail(SqliteResult::unavailable, folder.message());
  // Before SQLite opens the file, which may already write: it recovers and sets the journal mode.
  const base::Status lock = lock_.acquire(path_);
  if (!lock.ok()) return connection_.fail(SqliteResult::unavailable, lock.message());
  const SqliteResult result = open_database();
  if (result != SqliteResult::ok) return result;
  connection_.remember_files();
  checkpointed_at_pages_ = 0;
  return result;
}

SqliteResult SqliteWriter::open_database() {
  const bool may_create = !known_->was_open();
  std::error_code ignored;  // Then the open fails, and says more.
  if (!may_create && !std::filesystem::exists(path_, ignored)) {
    found_gone();
    return connection_.fail(
        SqliteResult::unavailable,
        known_->gone_text("SQLite " + path_ + ": the file is not there any more"));
  }
  SqliteResult result = connection_.open(
      path_, may_create ? SqliteConnection::Role::writer : SqliteConnection::Role::heir);
  if (result != SqliteResult::ok) return result;
  std::string incarnation;
  bool gone = false;
  result = open_sqlite_schema(&connection_, may_create, &incarnation, &gone);
  if (gone) {
    found_gone();
    const std::string what = "SQLite " + path_ + ": " + connection_.error();
    return connection_.fail(result, known_->gone_text(what));
  }
  if (result == SqliteResult::ok) result = inserter_.prepare(&connection_);
  if (result != SqliteResult::ok) return result;
  connection_.remember_files();
  recognise(incarnation);
  return result;
}

// Counted once: what was there is not there any more.
void SqliteWriter::found_gone() {
  if (identity_.incarnation.empty()) return;
  ++identity_changes_;
  identity_ = {};
}

void SqliteWriter::recognise(const std::string& incarnation) {
  const DatabaseIdentity now{.incarnation = incarnation,
                             .system_identifier = {},
                             .timeline = 0,
                             .file = connection_.file_identity()};
  const std::string difference = identity_difference(identity_, now);
  if (!difference.empty()) {
    ++identity_changes_;
    LOG_WARNING("store", "SQLite " + path_ + " is not the one it was: " + difference);
  }
  identity_ = now;
  claims_.clear();
  ++openings_;
  known_->note_open();
}

// Gives jobs back whose partner is not the one that the database knows by the id. Requires an open
// connection.
void SqliteWriter::refuse_strangers(std::vector<SqliteJob*>* group) {
  std::erase_if(*group, [this](SqliteJob* job) {
    if (job->claim == nullptr || job->claim->partner_code.empty()) return false;
    const auto known = claims_.find(job->claim->partner_id);
    if (known != claims_.end() && known->second == *job->claim) return false;
    const SqliteResult result = check_sqlite_claim(&connection_, *job->claim);
    if (result == SqliteResult::ok) {
      claims_[job->claim->partner_id] = *job->claim;
      return false;
    }
    finish(std::span(&job, 1), result);
    return true;
  });
}

void SqliteWriter::count_user(SqliteJob* job) {
  if (job->joins) ++user_count_;
  job->joins = false;
}

void SqliteWriter::leave(SqliteJob* job) {
  --user_count_;
  if (user_count_ == 0) close_connection();
  job->result = SqliteResult::ok;
  reply(job);
}

void SqliteWriter::finish(std::span<SqliteJob* const> group, SqliteResult result) {
  for (SqliteJob* job : group) {
    job->result = result;
    job->error = result == SqliteResult::ok ? std::string() : connection_.error();
    job->openings = openings_;
    job->identity_changes = identity_changes_;
    reply(job);
  }
}

void SqliteWriter::fail_waiting(SqliteResult result) {
  std::deque<SqliteJob*> leaving;
  for (SqliteJob* job : waiting()) {
    if (job->kind == SqliteJob::Kind::leave) {
      leaving.push_back(job);
      continue;
    }
    count_user(job);
    finish(std::span(&job, 1), result);
  }
  waiting() = std::move(leaving);
}

void SqliteWriter::close_connection() {
  if (connection_.is_open()) {
    // The reader goes first. If the -wal file was deleted, the reader still maps the index of the
    // old one, and a new connection of this process would find that index beside an empty file.
    reader_->disconnect();
    inserter_.finalize();
    connection_.close();
  }
  lock_.release();
}

void SqliteWriter::checkpoint_if_over(int new_page_count) {
  if (!connection_.is_open()) return;
  // After a complete checkpoint the next commit begins the WAL anew, unless a reader is in it.
  if (connection_.wal_pages() < checkpointed_at_pages_) checkpointed_at_pages_ = 0;
  if (connection_.wal_pages() - checkpointed_at_pages_ < new_page_count) return;
  checkpointed_at_pages_ = connection_.wal_pages();
  const SqliteResult result = connection_.checkpoint();
  // Nothing is lost: the pages stay in the WAL, which grows. A guest (partner::SqlMode::guest)
  // holds the lock only while it writes a batch: told when that no longer explains it.
  if (result == SqliteResult::ok) return;
  if (result == SqliteResult::busy && connection_.wal_pages() < kWalPagesLarge) return;
  LOG_WARNING("store", "checkpoint: " + connection_.error() + "; the -wal file has " +
                           std::to_string(connection_.wal_pages()) + " pages and grows until then");
}

}  // namespace postback::store
