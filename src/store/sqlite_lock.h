// Keeps two processes from writing the same SQLite database: the writer holds an exclusive lock on
// a file beside it, "<database>-lock", for as long as it has the database open. SQLite's own locks
// let both write in turn, which is what SQLite 3.7.0 to 3.51.2 cannot do in WAL mode without
// losing a commit now and then (see sqlite_databases.h). Who writes beside the owner of this lock
// (postbackctl quarantine retry) keeps checkpoints away meanwhile: partner::SqlMode::guest.
//
// A file of its own, since SQLite's locks on the database file end when any descriptor of it is
// closed in this process (fcntl(2), "record locks"). flock(2): the kernel gives the lock back when
// the process ends, however it ends. The file is empty and stays: a lock file that is deleted lets
// two processes lock two files of the same name.
//
// Thread: one at a time.
#pragma once

#include <string>

#include "base/status.h"

namespace postback::store {

class SqliteLock {
 public:
  SqliteLock() = default;
  ~SqliteLock() { release(); }
  SqliteLock(const SqliteLock&) = delete;
  SqliteLock& operator=(const SqliteLock&) = delete;

  // Takes the lock of the database at `database_path` or fails at once. Requires !is_held(); the
  // folder exists.
  base::Status acquire(const std::string& database_path);
  void release();
  bool is_held() const { return fd_ >= 0; }
  // Whether the locked file still stands at its path: if not, it keeps nobody out any more.
  bool is_in_place() const;

 private:
  std::string path_;
  int fd_ = -1;
};

}  // namespace postback::store
