#include "store/sqlite_connection.h"

#include <sys/stat.h>
#include <time.h>

#include <algorithm>

#include "base/check.h"
#include "base/ownership.h"
#include "base/time.h"

namespace postback::store {
namespace {

// The database file grows by so much at a time (sqlite.org/c3ref/c_fcntl_begin_atomic_write.html,
// SQLITE_FCNTL_CHUNK_SIZE), and a checkpoint does not cut it to less than a multiple of it.
constexpr int kChunkPages = 256;
constexpr int kPageBytes = 4096;  // SQLite's own choice; of an older file with others, a guess.

SqliteResult result_of(int code) {
  switch (code & 0xff) {  // The low byte is the primary code.
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
      return SqliteResult::ok;
    case SQLITE_BUSY:
      return SqliteResult::busy;
    case SQLITE_TOOBIG:
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
      return SqliteResult::rejected;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
    case SQLITE_SCHEMA:
    case SQLITE_ERROR:  // "no such table", "no such column", no unique index to conflict with.
      return SqliteResult::schema;
    default:  // FULL, IOERR, READONLY, CANTOPEN, NOMEM, PROTOCOL, INTERRUPT, …
      return SqliteResult::unavailable;
  }
}

// The owner, where that is why SQLite may not open or write the file.
std::string owner_remedy(int code, const std::string& path) {
  const int kind = code & 0xff;
  const bool is_refused = kind == SQLITE_READONLY || kind == SQLITE_CANTOPEN || kind == SQLITE_PERM;
  return is_refused ? base::ownership_trouble(path) : "";
}

// What the operator can do, where the code says so.
const char* remedy(int code) {
  switch (code & 0xff) {
    case SQLITE_BUSY:
      return "; another process holds a lock on the file";
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return "; the file is left as it is: restore it from a backup or move it away";
    case SQLITE_FULL:
      return "; free space on the disk";
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
      return "; check the path and the rights on file and folder";
    case SQLITE_INTERRUPT:
      return "; over the time limit";
    default:
      return "";
  }
}

}  // namespace

SqliteResult SqliteConnection::open(const std::string& path, Role role) {
  CHECK(handle_ == nullptr);
  path_ = path;
  wal_path_ = path + "-wal";
  role_ = role;
  wal_pages_ = 0;
  room_pages_ = 0;
  const int create = role == Role::writer ? SQLITE_OPEN_CREATE : 0;
  const int code = sqlite3_open_v2(
      path.c_str(), &handle_,
      SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE | create, nullptr);
  SqliteResult result = check(code);
  if (result == SqliteResult::ok) result = configure(role);
  if (result != SqliteResult::ok) {
    // Nothing was written by this connection, so there is nothing for it to checkpoint.
    if (handle_ != nullptr) {
      sqlite3_db_config(handle_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
    }
    sqlite3_close(handle_);
    handle_ = nullptr;
  }
  return result;
}

// synchronous=FULL in WAL mode is an fsync of the WAL at each commit; NORMAL would acknowledge
// what a power cut takes back. Checkpoints are run by SqliteWriter alone, never by SQLite itself.
// secure_delete would write every freed page once more (Debian's SQLite has it on).
SqliteResult SqliteConnection::configure(Role role) {
  sqlite3_busy_handler(handle_, busy, this);
  if (role == Role::reader) {
    sqlite3_db_config(handle_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
    constexpr int kInstructionsPerCall = 1000;  // Some 10 to 100 us of work.
    sqlite3_progress_handler(handle_, kInstructionsPerCall, progress, this);
    return run("PRAGMA query_only=ON; PRAGMA wal_autocheckpoint=0; PRAGMA cache_size=-4096;");
  }
  SqliteStatement journal_mode;
  SqliteResult result = journal_mode.prepare(this, "PRAGMA journal_mode=WAL");
  bool row = false;
  if (result == SqliteResult::ok) result = journal_mode.step(&row);
  if (result != SqliteResult::ok) return result;
  if (!row || journal_mode.text(0) != "wal") {
    return fail(SqliteResult::unavailable,
                "SQLite " + path_ +
                    ": write-ahead logging is impossible here; put the file on a "
                    "local file system");
  }
  journal_mode.finalize();
  int chunk_bytes = kChunkPages * kPageBytes;
  sqlite3_file_control(handle_, "main", SQLITE_FCNTL_CHUNK_SIZE, &chunk_bytes);
  // Also switches SQLite's own checkpoints off: they are the default commit hook.
  sqlite3_wal_hook(handle_, committed, this);
  // A WAL that grew under load is cut back to 32 MiB when it starts anew. The cache holds the
  // upper levels and the recent leaves of the unique index; it grows only with use.
  return run(
      "PRAGMA synchronous=FULL; PRAGMA secure_delete=OFF; PRAGMA journal_size_limit=33554432;"
      "PRAGMA cache_size=-16384; PRAGMA temp_store=MEMORY;");
}

void SqliteConnection::close() {
  if (handle_ == nullptr) return;
  if (writes() && identity_of(path_) != database_file_) {
    sqlite3_db_config(handle_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  } else if (writes() && identity_of(wal_path_) != wal_file_) {
    // Closing checkpoints only when no other process has the file open; but a -wal file that was
    // deleted is readable by nobody else, so what it holds is saved in any case.
    const std::string error = error_;
    checkpoint();
    error_ = error;
  }
  page_count_.finalize();
  CHECK(sqlite3_close(handle_) == SQLITE_OK);
  handle_ = nullptr;
}

SqliteResult SqliteConnection::run(const char* sql) {
  return check(sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr));
}

SqliteResult SqliteConnection::checkpoint() {
  room_pages_ = 0;  // It may cut the file.
  return check(
      sqlite3_wal_checkpoint_v2(handle_, "main", SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr));
}

SqliteResult SqliteConnection::page_count(int64_t* count) {
  if (!page_count_.is_prepared()) {
    const SqliteResult result = page_count_.prepare(this, "PRAGMA page_count");
    if (result != SqliteResult::ok) return result;
  }
  bool row = false;
  const SqliteResult result = page_count_.step(&row);
  if (!row) return result;
  *count = page_count_.integer(0);
  page_count_.reset();
  return result;
}

// The file is made as long as it says, which is a multiple of the chunk.
bool SqliteConnection::reserve(int64_t pages, int chunk_pages) {
  int chunk_bytes = chunk_pages * kPageBytes;
  sqlite3_file_control(handle_, "main", SQLITE_FCNTL_CHUNK_SIZE, &chunk_bytes);
  int64_t bytes = pages * kPageBytes;
  return sqlite3_file_control(handle_, "main", SQLITE_FCNTL_SIZE_HINT, &bytes) == SQLITE_OK;
}

SqliteResult SqliteConnection::make_room() {
  int64_t pages = 0;
  const SqliteResult result = page_count(&pages);
  if (result != SqliteResult::ok || pages <= room_pages_) return result;
  int64_t wanted_pages = (pages / kChunkPages + 1) * kChunkPages;
  if (!reserve(wanted_pages, kChunkPages)) {
    wanted_pages = pages;  // A file that may not grow by so much may have room for what is needed.
    if (reserve(wanted_pages, 1)) {
      room_pages_ = wanted_pages;
      return result;
    }
    return fail(SqliteResult::unavailable,
                "SQLite " + path_ +
                    ": the disk has no room for the database to grow; free space on the disk");
  }
  room_pages_ = wanted_pages;
  return result;
}

void SqliteConnection::remember_files() {
  database_file_ = identity_of(path_);
  wal_file_ = identity_of(wal_path_);
}

bool SqliteConnection::files_moved() const {
  return database_file_.inode == 0 || wal_file_.inode == 0 ||
         identity_of(path_) != database_file_ || identity_of(wal_path_) != wal_file_;
}

std::string SqliteConnection::file_identity() const {
  return std::to_string(database_file_.device) + ":" + std::to_string(database_file_.inode);
}

SqliteResult SqliteConnection::check(int code) {
  const SqliteResult result = result_of(code);
  if (result == SqliteResult::ok) return result;
  code_ = code;
  error_ = "SQLite " + path_ + ": " +
           (handle_ != nullptr ? sqlite3_errmsg(handle_) : sqlite3_errstr(code)) + " (code " +
           std::to_string(code) + ")" + remedy(code) + owner_remedy(code, path_);
  return result;
}

SqliteResult SqliteConnection::fail(SqliteResult result, std::string error) {
  error_ = std::move(error);
  code_ = SQLITE_OK;
  return result;
}

SqliteConnection::FileIdentity SqliteConnection::identity_of(const std::string& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) return {};
  return {status.st_dev, status.st_ino};
}

int SqliteConnection::busy(void* self, int attempt_count) {
  const uint64_t now_ns = base::system_clock().monotonic_ns();
  const uint64_t until_ns = static_cast<SqliteConnection*>(self)->busy_until_ns_;
  if (now_ns >= until_ns) return 0;
  // Locks of a reader or a shell last microseconds or seconds: ask often at first.
  const uint64_t pause_ns = attempt_count < 10 ? 500'000 : 5'000'000;
  const timespec pause{0, static_cast<long>(std::min(pause_ns, until_ns - now_ns))};
  nanosleep(&pause, nullptr);
  return 1;
}

int SqliteConnection::progress(void* self) {
  const uint64_t limit_ns = static_cast<SqliteConnection*>(self)->give_up_at_ns_;
  return limit_ns != 0 && base::system_clock().monotonic_ns() >= limit_ns ? 1 : 0;
}

int SqliteConnection::committed(void* self, sqlite3*, const char*, int wal_pages) {
  static_cast<SqliteConnection*>(self)->wal_pages_ = wal_pages;
  return SQLITE_OK;
}

SqliteResult SqliteStatement::prepare(SqliteConnection* connection, const char* sql) {
  finalize();
  connection_ = connection;
  return connection->check(sqlite3_prepare_v3(connection->handle_, sql, -1,
                                              SQLITE_PREPARE_PERSISTENT, &statement_, nullptr));
}

void SqliteStatement::finalize() {
  sqlite3_finalize(statement_);  // Its result repeats that of the last step.
  statement_ = nullptr;
  bind_code_ = SQLITE_OK;
}

void SqliteStatement::keep(int bind_code) {
  if (bind_code_ == SQLITE_OK) bind_code_ = bind_code;
}

void SqliteStatement::bind(int index, int64_t value) {
  keep(sqlite3_bind_int64(statement_, index, value));
}

void SqliteStatement::bind(int index, std::string_view text) {
  // A null pointer would bind NULL instead of the empty text.
  const char* data = text.data() != nullptr ? text.data() : "";
  keep(sqlite3_bind_text64(statement_, index, data, text.size(), SQLITE_STATIC, SQLITE_UTF8));
}

void SqliteStatement::bind_blob(int index, std::string_view bytes) {
  const char* data = bytes.data() != nullptr ? bytes.data() : "";
  keep(sqlite3_bind_blob64(statement_, index, data, bytes.size(), SQLITE_STATIC));
}

void SqliteStatement::bind_null(int index) {
  keep(sqlite3_bind_null(statement_, index));
}

SqliteResult SqliteStatement::step(bool* row) {
  *row = false;
  if (bind_code_ != SQLITE_OK) {
    const SqliteResult result = connection_->check(bind_code_);
    reset();
    return result;
  }
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) {
    *row = true;
    return SqliteResult::ok;
  }
  const SqliteResult result = connection_->check(code);
  reset();
  return result;
}

SqliteResult SqliteStatement::run() {
  bool row = false;
  const SqliteResult result = step(&row);
  CHECK(!row);
  return result;
}

void SqliteStatement::reset() {
  sqlite3_reset(statement_);
  bind_code_ = SQLITE_OK;
}

bool SqliteStatement::is_null(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

int64_t SqliteStatement::integer(int column) const {
  return sqlite3_column_int64(statement_, column);
}

std::string_view SqliteStatement::text(int column) const {
  const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  if (data == nullptr) return {};
  return {data, static_cast<size_t>(sqlite3_column_bytes(statement_, column))};
}

}  // namespace postback::store
