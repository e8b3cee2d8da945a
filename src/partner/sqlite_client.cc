// The SQLite half of the SQL client.
#include <sqlite3.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

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

class SqliteClient final : public SqlClient {
 public:
  explicit SqliteClient(std::string path) : path_(std::move(path)) {}
  ~SqliteClient() override { sqlite3_close(db_); }

  Status open(SqlMode mode, const SqlLimits& limits) {
    if (mode == SqlMode::create) {
      const Status status = create_folder();
      if (!status.ok()) return status;
    }
    const int flags = SQLITE_OPEN_READWRITE | (mode == SqlMode::create ? SQLITE_OPEN_CREATE : 0);
    // On failure too there is a handle, which holds the message and is closed by the destructor.
    const int code = sqlite3_open_v2(path_.c_str(), &db_, flags, nullptr);
    if (code != SQLITE_OK) return error(code);
    sqlite3_extended_result_codes(db_, 1);
    sqlite3_busy_timeout(db_, limits.statement_ms);
    Status status = run("PRAGMA synchronous=FULL");
    if (status.ok() && mode == SqlMode::read) {
      // A reader never moves the write-ahead log of a database that another process writes: not
      // while it reads, and not when it happens to be the last to close.
      status = run("PRAGMA query_only=1; PRAGMA wal_autocheckpoint=0");
      sqlite3_db_config(db_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
    }
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
    const int code = sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr);
    return code == SQLITE_OK ? Status() : error(code);
  }

  Status begin(const std::string&) override { return run("BEGIN IMMEDIATE"); }
  Status commit() override { return run("COMMIT"); }
  void rollback() override {
    if (sqlite3_get_autocommit(db_) == 0) {
      sqlite3_exec(db_, "ROLLBACK", nullptr, nullptr, nullptr);
    }
  }

  bool broken() const override {
    struct stat now {};
    return stat(path_.c_str(), &now) != 0 || now.st_ino != identity_.st_ino ||
           now.st_dev != identity_.st_dev;
  }

 private:
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

  Status create_folder() const {
    const std::filesystem::path folder = std::filesystem::path(path_).parent_path();
    if (folder.empty()) return Status();
    std::error_code failure;
    std::filesystem::create_directories(folder, failure);
    if (!failure) return Status();
    return Status::error("folder " + folder.string() + " cannot be made (" + failure.message() +
                         "); make it, or choose a folder that may be written");
  }

  Status error(int code) const {
    std::string message = db_ == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(db_);
    const int system = db_ == nullptr ? 0 : sqlite3_system_errno(db_);
    if ((code & 0xFF) == SQLITE_CANTOPEN && system != 0) {
      message += std::string(", ") + std::strerror(system);
    }
    return Status::error("SQLite database " + path_ + ": " + message + "; " + remedy(code, path_));
  }

  std::string path_;
  sqlite3* db_ = nullptr;
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
