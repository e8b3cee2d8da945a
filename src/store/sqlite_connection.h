// One SQLite connection and its prepared statements: a thin RAII layer over sqlite3, and the one
// place where SQLite's result codes get their meaning.
//
// Thread: a connection and its statements are used by one thread at a time. Calls block on the
// disk: never on a core's thread.
#pragma once

#include <sqlite3.h>
#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace postback::store {

enum class SqliteResult : uint8_t {
  ok,
  busy,         // Another process holds a lock. The connection is sound.
  unavailable,  // Disk full, I/O error, read-only, …: close the connection and open it again.
  rejected,     // A value was refused (a constraint, too long).
  schema,       // Not a database, corrupt, or its tables do not fit: a person is needed.
};

class SqliteConnection;

// A prepared statement. Bound text is borrowed: it must stay until the statement is reset.
// Indexes of parameters begin at 1, of columns at 0 (as in sqlite3). A failed bind is reported by
// the step that follows.
class SqliteStatement {
 public:
  SqliteStatement() = default;
  ~SqliteStatement() { finalize(); }
  SqliteStatement(const SqliteStatement&) = delete;
  SqliteStatement& operator=(const SqliteStatement&) = delete;

  SqliteResult prepare(SqliteConnection* connection, const char* sql);
  void finalize();
  bool is_prepared() const { return statement_ != nullptr; }

  void bind(int index, int64_t value);
  void bind(int index, std::string_view text);
  void bind_blob(int index, std::string_view bytes);
  void bind_null(int index);

  // Steps once: *row tells whether there is a row; if not, the statement has been reset.
  SqliteResult step(bool* row);
  // For a statement without rows: steps and resets.
  SqliteResult run();
  void reset();

  bool is_null(int column) const;
  int64_t integer(int column) const;
  std::string_view text(int column) const;  // Valid until the next step() or reset().

 private:
  void keep(int bind_code);

  SqliteConnection* connection_ = nullptr;
  sqlite3_stmt* statement_ = nullptr;
  int bind_code_ = SQLITE_OK;  // The first bind that failed since the last reset.
};

class SqliteConnection {
 public:
  enum class Role : uint8_t {
    writer,  // Creates the file if missing; the only one to write or checkpoint.
    heir,    // As writer, but a file that is missing is an error.
    reader,  // Cannot write and never checkpoints, not even when it closes last.
  };

  SqliteConnection() = default;
  ~SqliteConnection() { close(); }
  SqliteConnection(const SqliteConnection&) = delete;
  SqliteConnection& operator=(const SqliteConnection&) = delete;

  // Requires !is_open(). Not open afterwards unless ok.
  SqliteResult open(const std::string& path, Role role);
  // Statements must be finalized before. Closing the writer checkpoints, unless the file at the
  // path is not the one that was opened: then the -wal file there may belong to its successor.
  void close();
  bool is_open() const { return handle_ != nullptr; }

  // Runs statements separated by semicolons; rows are ignored.
  SqliteResult run(const char* sql);
  // Copies pages from the WAL to the database file as far as readers allow.
  SqliteResult checkpoint();
  // Before a COMMIT that may have made the database larger: makes the file take the room on the
  // disk that the pages of this transaction will need there. So a checkpoint needs none: a disk
  // that others fill up can keep new commits out of the log, but not what is in the log from its
  // place.
  SqliteResult make_room();
  bool in_transaction() const { return sqlite3_get_autocommit(handle_) == 0; }
  // Rows inserted or changed by the last statement that ran.
  int changed_row_count() const { return sqlite3_changes(handle_); }
  // Pages in the WAL after the last commit that wrote.
  int wal_pages() const { return wal_pages_; }

  // Locks of other processes are waited for until then (monotonic nanoseconds; 0: not at all).
  void set_busy_until(uint64_t time_ns) { busy_until_ns_ = time_ns; }
  // Statements running longer fail as unavailable (monotonic nanoseconds; 0: no limit).
  void set_give_up_at(uint64_t time_ns) { give_up_at_ns_ = time_ns; }

  // Remembers which files stand at the path; files_moved() then tells whether they still do.
  // SQLite itself would go on writing to deleted files, and every commit would be lost.
  void remember_files();
  bool files_moved() const;
  // "device:inode" of the file as remembered.
  std::string file_identity() const;

  // What the last call that was not ok ran into, for log and health.
  const std::string& error() const { return error_; }
  // Whether the last call that was not ok failed since a row with this primary key is there.
  bool is_primary_key_taken() const {
    return code_ == SQLITE_CONSTRAINT_PRIMARYKEY || code_ == SQLITE_CONSTRAINT_ROWID;
  }
  // Maps a result code of sqlite3_* on this connection and keeps its message.
  SqliteResult check(int code);
  SqliteResult fail(SqliteResult result, std::string error);

 private:
  friend class SqliteStatement;
  struct FileIdentity {
    dev_t device = 0;
    ino_t inode = 0;  // 0: no such file.
    bool operator==(const FileIdentity&) const = default;
  };
  static FileIdentity identity_of(const std::string& path);
  static int busy(void* self, int attempt_count);
  static int progress(void* self);
  static int committed(void* self, sqlite3* handle, const char* name, int wal_pages);
  SqliteResult configure(Role role);
  bool writes() const { return role_ != Role::reader; }
  SqliteResult page_count(int64_t* count);
  bool reserve(int64_t pages, int chunk_pages);

  sqlite3* handle_ = nullptr;
  std::string path_;
  std::string wal_path_;
  Role role_ = Role::reader;
  std::string error_;
  int code_ = SQLITE_OK;  // Of error_; extended.
  uint64_t busy_until_ns_ = 0;
  uint64_t give_up_at_ns_ = 0;
  int wal_pages_ = 0;
  SqliteStatement page_count_;
  int64_t room_pages_ = 0;  // For so many pages the file has its room. 0: to be looked at.
  FileIdentity database_file_;
  FileIdentity wal_file_;
};

}  // namespace postback::store
