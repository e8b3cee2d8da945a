// The SQLite half of the SQL client.
#include <sqlite3.h>
#include <sys/stat.h>
#include <time.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "base/file_sync.h"
#include "base/time.h"
#include "partner/sql_client.h"

namespace postback::partner {
namespace {

using base::Result;
using base::Status;

std::string remedy(int code, const std::string& path) {
  switch (code & 0xFF) {
    case SQLITE_CANTOPEN:
      return "check that the file and its folder exist and may be read and written";
    case SQLITE_BUSY:
      return "another process holds its lock; try again when it is done";
    case SQLITE_READONLY:
      return "give this user the right to write the file and its folder";
    case SQLITE_FULL:
      return "free space on its disk";
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
      return "restore " + path + " from a backup";
    default:
      return "look at the file with: sqlite3 " + path;
  }
}

// The lock that a checkpoint of a file in WAL mode holds from before it looks at the log until it
// is done (https://sqlite.org/walformat.html section 2.3.1: WAL_CKPT_LOCK, index 1 for xShmLock).
//
// Why a guest holds it: SQLite 3.7.0 to 3.51.2 lose pages when a checkpoint starts on a log that is
// checkpointed completely, and another connection commits a transaction that begins the log anew
// while it runs (https://sqlite.org/wal.html section 11, the WAL-reset bug). Not checkpointing does
// not help the guest: its commit may be the one that begins the log anew under the server's
// checkpoint. With the lock no checkpoint runs beside the guest's transaction, so the two never
// meet. A server that wants to checkpoint meanwhile is told "busy" and does it later; its log is
// only longer until then.
class CheckpointLock {
 public:
  CheckpointLock() = default;
  ~CheckpointLock() { release(); }
  CheckpointLock(const CheckpointLock&) = delete;
  CheckpointLock& operator=(const CheckpointLock&) = delete;

  // `db` has read from its file, which is in WAL mode. Waits for a checkpoint that runs.
  int acquire(sqlite3* db, int wait_ms) {
    const uint64_t until_ns =
        base::system_clock().monotonic_ns() + static_cast<uint64_t>(wait_ms) * 1'000'000;
    sqlite3_file* file = nullptr;
    int code = sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file);
    if (code != SQLITE_OK) return code;
    while ((code = lock(file, SQLITE_SHM_LOCK)) == SQLITE_BUSY &&
           base::system_clock().monotonic_ns() < until_ns) {
      const timespec pause{0, 1'000'000};
      nanosleep(&pause, nullptr);
    }
    if (code == SQLITE_OK) file_ = file;
    return code;
  }
  void release() {
    if (file_ != nullptr) lock(file_, SQLITE_SHM_UNLOCK);
    file_ = nullptr;
  }

 private:
  static int lock(sqlite3_file* file, int action) {
    constexpr int kCheckpointLock = 1;
    return file->pMethods->xShmLock(file, kCheckpointLock, 1, action | SQLITE_SHM_EXCLUSIVE);
  }

  sqlite3_file* file_ = nullptr;  // Not null while the lock is held.
};

class SqliteClient final : public SqlClient {
 public:
  explicit SqliteClient(std::string path) : path_(std::move(path)) {}
  ~SqliteClient() override {
    checkpoint_lock_.release();
    sqlite3_close(db_);
  }

  Status open(SqlMode mode, const SqlLimits& limits) {
    if (mode == SqlMode::create) {
      const Status status = base::make_folders(std::filesystem::path(path_).parent_path());
      if (!status.ok()) return status;
    }
    const int flags = SQLITE_OPEN_READWRITE | (mode == SqlMode::create ? SQLITE_OPEN_CREATE : 0);
    // On failure too there is a handle, which holds the message and is closed by the destructor.
    const int code = sqlite3_open_v2(path_.c_str(), &db_, flags, nullptr);
    if (code != SQLITE_OK) return error(code);
    sqlite3_extended_result_codes(db_, 1);
    sqlite3_busy_timeout(db_, limits.statement_ms);
    wait_ms_ = limits.statement_ms;
    guest_ = mode == SqlMode::guest;
    Status status = run("PRAGMA synchronous=FULL");
    if (status.ok() && (mode == SqlMode::read || mode == SqlMode::guest)) {
      // Neither moves the write-ahead log of a database that another process writes: not while it
      // works, and not when it happens to be the last to close.
      status = run("PRAGMA wal_autocheckpoint=0");
      sqlite3_db_config(db_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
      sqlite3_wal_hook(db_, committed, this);
    }
    if (status.ok() && mode == SqlMode::read) status = run("PRAGMA query_only=1");
    // Opening is lazy: the first read finds out whether the file is a database at all.
    if (status.ok()) status = run("SELECT count(*) FROM sqlite_schema");
    if (status.ok() && stat(path_.c_str(), &identity_) != 0) {
      return Status::error("SQLite database " + path_ + " vanished while it was opened; try again");
    }
    return status;
  }

  base::DatabaseKind kind() const override { return base::DatabaseKind::sqlite; }

  Result<SqlResult> query(const std::string& sql, const std::vector<SqlText>& parameters) override {
    sqlite3_stmt* raw = nullptr;
    busy_ = false;
    int code = sqlite3_prepare_v2(db_, sql.c_str(), -1, &raw, nullptr);
    const std::unique_ptr<sqlite3_stmt, int (*)(sqlite3_stmt*)> statement(raw, &sqlite3_finalize);
    if (code != SQLITE_OK) return error(code);
    for (size_t i = 0; i < parameters.size(); ++i) {
      const std::string name = "$" + std::to_string(i + 1);
      const int index = sqlite3_bind_parameter_index(raw, name.c_str());
      CHECK(index > 0);
      if (!parameters[i].has_value()) continue;  // Unbound is NULL.
      code = sqlite3_bind_text64(raw, index, parameters[i]->data(), parameters[i]->size(),
                                 SQLITE_STATIC, SQLITE_UTF8);
      if (code != SQLITE_OK) return error(code);
    }
    SqlResult result;
    const int before = sqlite3_total_changes(db_);
    while ((code = sqlite3_step(raw)) == SQLITE_ROW) result.rows.push_back(row_of(raw));
    if (code != SQLITE_DONE) return error(code);
    result.changed_count = sqlite3_total_changes(db_) - before;
    return result;
  }

  Status run(const std::string& sql) override {
    busy_ = false;
    const int code = sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr);
    return code == SQLITE_OK ? Status() : error(code);
  }

  Status begin(const std::string&) override {
    Status status = run("BEGIN IMMEDIATE");
    if (status.ok()) status = lock_out_checkpoints();
    if (!status.ok()) rollback();
    return status;
  }
  Status commit() override {
    Status status = run("COMMIT");
    if (status.ok()) checkpoint_lock_.release();
    return status;
  }
  void rollback() override {
    if (sqlite3_get_autocommit(db_) == 0) {
      sqlite3_exec(db_, "ROLLBACK", nullptr, nullptr, nullptr);
    }
    checkpoint_lock_.release();
  }

  int64_t log_pages() const override { return log_pages_; }

  // The write lock is held by a second connection, since a connection cannot checkpoint within a
  // transaction of its own. That one takes it without the checkpoint lock, writes nothing, and
  // nobody else can commit: so neither half of the bug above is possible.
  Status checkpoint() override {
    sqlite3* keeper = nullptr;
    int code = sqlite3_open_v2(path_.c_str(), &keeper, SQLITE_OPEN_READWRITE, nullptr);
    if (code == SQLITE_OK) {
      sqlite3_db_config(keeper, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
      sqlite3_busy_timeout(keeper, wait_ms_);
      code = sqlite3_exec(keeper, "PRAGMA wal_autocheckpoint=0; BEGIN IMMEDIATE", nullptr, nullptr,
                          nullptr);
    }
    int pages = 0;
    int pages_done = 0;
    if (code == SQLITE_OK) {
      code = sqlite3_wal_checkpoint_v2(db_, "main", SQLITE_CHECKPOINT_PASSIVE, &pages, &pages_done);
    }
    // Closing rolls back.
    sqlite3_close(keeper);
    if (code != SQLITE_OK) return error(code);
    if (pages_done == pages) log_pages_ = 0;  // The next commit begins the log anew.
    return Status();
  }

  bool busy() const override { return busy_; }

  bool broken() const override {
    struct stat now {};
    return stat(path_.c_str(), &now) != 0 || now.st_ino != identity_.st_ino ||
           now.st_dev != identity_.st_dev;
  }

 private:
  static int committed(void* self, sqlite3*, const char*, int pages) {
    static_cast<SqliteClient*>(self)->log_pages_ = pages;
    return SQLITE_OK;
  }

  static SqlRow row_of(sqlite3_stmt* statement) {
    SqlRow row(static_cast<size_t>(sqlite3_column_count(statement)));
    for (int i = 0; i < static_cast<int>(row.size()); ++i) {
      if (sqlite3_column_type(statement, i) == SQLITE_NULL) continue;
      const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, i));
      const auto size = static_cast<size_t>(sqlite3_column_bytes(statement, i));
      row[static_cast<size_t>(i)] = text == nullptr ? std::string() : std::string(text, size);
    }
    return row;
  }

  // As of the last time that this connection read the file.
  bool in_wal_mode() {
    Result<SqlResult> mode = query("PRAGMA journal_mode", {});
    return mode.ok() && !mode.value().rows.empty() && mode.value().rows[0][0] == "wal";
  }

  // With the write lock held: a guest can wait long for that one beside a busy server, whose
  // checkpoints must go on meanwhile. Nothing was written yet, so no log was begun anew.
  Status lock_out_checkpoints() {
    if (!guest_ || !in_wal_mode()) return Status();
    const int code = checkpoint_lock_.acquire(db_, wait_ms_);
    if (code == SQLITE_OK) return Status();
    busy_ = code == SQLITE_BUSY;
    return Status::error("SQLite database " + path_ + ": no turn between checkpoints (" +
                         sqlite3_errstr(code) + "); " + remedy(code, path_));
  }

  Status error(int code) {
    busy_ = (code & 0xFF) == SQLITE_BUSY || (code & 0xFF) == SQLITE_LOCKED;
    std::string message = db_ == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(db_);
    const int system = db_ == nullptr ? 0 : sqlite3_system_errno(db_);
    if ((code & 0xFF) == SQLITE_CANTOPEN && system != 0) {
      message += std::string(", ") + std::strerror(system);
    }
    return Status::error("SQLite database " + path_ + ": " + message + "; " + remedy(code, path_));
  }

  std::string path_;
  sqlite3* db_ = nullptr;
  int wait_ms_ = 0;
  bool guest_ = false;
  bool busy_ = false;  // Of the last error.
  int64_t log_pages_ = 0;
  CheckpointLock checkpoint_lock_;  // Held from begin() to the transaction's end by a guest.
  struct stat identity_ {};
};

}  // namespace

Result<std::unique_ptr<SqlClient>> open_sqlite_client(const std::string& url, SqlMode mode,
                                                      const SqlLimits& limits) {
  auto client = std::make_unique<SqliteClient>(base::sqlite_path(url));
  const Status status = client->open(mode, limits);
  if (!status.ok()) return status;
  return std::unique_ptr<SqlClient>(std::move(client));
}

}  // namespace postback::partner
