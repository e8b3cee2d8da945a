// A small blocking SQL client over libpq and SQLite, for the registry's thread and the tools.
// Never on a core: every call may take its time limit.
//
// One client is one connection, used by one thread at a time. A client whose call failed with
// broken() true is of no further use; open another.
//
// SQLite files opened for writing keep the journal mode they have, which is the rollback journal
// for a file made here: several processes write to a control database, and SQLite before 3.51.3 can
// lose a commit when two connections write to one file in WAL mode (the WAL-reset bug). A file that
// a server writes in WAL mode is opened as its guest, see SqlMode::guest.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/database_url.h"
#include "base/status.h"

namespace postback::partner {

using SqlText = std::optional<std::string>;  // nullopt is NULL.
using SqlRow = std::vector<SqlText>;

struct SqlResult {
  std::vector<SqlRow> rows;
  int64_t changed_count = 0;  // Rows inserted, updated or deleted.
};

enum class SqlMode : uint8_t {
  // Nothing will be written; a database that is missing is an error. SQLite is held to it. A
  // PostgreSQL session is not: behind PgBouncer the setting would stick to somebody else's.
  read,
  write,   // A database that is missing is an error.
  create,  // As write; a missing database is created (for SQLite its folder too).
  // As write, beside a server that has the database open. For a SQLite file in WAL mode: never
  // checkpoints, not even when it closes last, and nobody checkpoints while a transaction of this
  // client runs. Write within begin() and commit() only, and briefly: the server waits meanwhile.
  guest,
};

struct SqlLimits {
  int connect_ms = 3000;
  int statement_ms = 3000;  // For SQLite: how long a lock is waited for.
};

class SqlClient {
 public:
  // `url` passes base::check_database_url. Messages of errors are one line, without secrets, and
  // say what the operator can do.
  static base::Result<std::unique_ptr<SqlClient>> open(const std::string& url, SqlMode mode,
                                                       const SqlLimits& limits = {});
  virtual ~SqlClient() = default;

  virtual base::DatabaseKind kind() const = 0;
  // One statement; $1, $2 … stand for `parameters` in both kinds.
  virtual base::Result<SqlResult> query(const std::string& sql,
                                        const std::vector<SqlText>& parameters = {}) = 0;
  // Statements separated by semicolons, without parameters and results.
  virtual base::Status run(const std::string& sql) = 0;
  // Starts a transaction that excludes other writers (of the file; of `lock_table` in
  // PostgreSQL, when not empty).
  virtual base::Status begin(const std::string& lock_table = "") = 0;
  virtual base::Status commit() = 0;
  virtual void rollback() = 0;  // Also when there is no transaction.
  // A guest's: pages of 4 KiB in the file's write-ahead log as of its last commit. Else 0.
  virtual int64_t log_pages() const { return 0; }
  // A guest's, outside a transaction: writes the log's pages back to the file while nobody else can
  // commit. For when no server does it; it takes as long as the disk needs for the pages.
  virtual base::Status checkpoint() { return {}; }
  // The last call failed because somebody else held a lock for too long: it may be repeated. What
  // fails for another reason fails again. SQLite only.
  virtual bool busy() const { return false; }
  // The connection is lost or the database file is not the one it was (replaced or removed).
  virtual bool broken() const = 0;
};

// Whether the database exists; an error when that cannot be found out.
base::Result<bool> database_exists(const std::string& url, const SqlLimits& limits = {});

// Whether `url` is understood in every part (PostgreSQL: by libpq). No connection is made.
base::Status check_connectable_url(const std::string& url);

// Rolls back at the end of the scope unless commit() succeeded.
class SqlTransaction {
 public:
  explicit SqlTransaction(SqlClient* client) : client_(client) {}
  ~SqlTransaction() {
    if (open_) client_->rollback();
  }
  SqlTransaction(const SqlTransaction&) = delete;
  SqlTransaction& operator=(const SqlTransaction&) = delete;
  base::Status begin(const std::string& lock_table = "") {
    base::Status status = client_->begin(lock_table);
    open_ = status.ok();
    return status;
  }
  base::Status commit() {
    base::Status status = client_->commit();
    if (status.ok()) open_ = false;
    return status;
  }

 private:
  SqlClient* client_;
  bool open_ = false;
};

// --- The two backends, for sql_client.cc ---

base::Result<std::unique_ptr<SqlClient>> open_sqlite_client(const std::string& url, SqlMode mode,
                                                            const SqlLimits& limits);
base::Result<std::unique_ptr<SqlClient>> open_postgres_client(const std::string& url, SqlMode mode,
                                                              const SqlLimits& limits);
base::Result<bool> postgres_database_exists(const std::string& url, const SqlLimits& limits);
base::Status check_postgres_url(const std::string& url);

}  // namespace postback::partner
