#include "store/sqlite_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "base/ownership.h"

namespace postback::store {

base::Status SqliteLock::acquire(const std::string& database_path) {
  CHECK(!is_held());
  path_ = database_path + "-lock";
  // Not inherited: a child of ours that lives on must not keep the database from the next server.
  fd_ = open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0644);
  if (fd_ < 0) {
    const int error = errno;
    const std::string trouble = base::ownership_trouble(database_path);
    return base::Status::error(
        "SQLite " + database_path + ": cannot open its lock file " + path_ + ": " +
        std::strerror(error) +
        (trouble.empty() ? "; check the rights on file and folder" : trouble));
  }
  std::string error;
  if (flock(fd_, LOCK_EX | LOCK_NB) != 0) {
    error = errno == EWOULDBLOCK
                ? "another postbackd process writes this file (it holds the lock on " + path_ +
                      "); stop that process, or give each server a DATA_DIR of its own, or use "
                      "PostgreSQL, which several servers can share"
                : "cannot lock " + path_ + ": " + std::strerror(errno) +
                      "; put the file on a local file system";
  } else if (!is_in_place()) {
    error = "the lock file " + path_ + " was deleted while it was being locked; trying again";
  }
  if (error.empty()) return {};
  release();
  return base::Status::error("SQLite " + database_path + ": " + error);
}

void SqliteLock::release() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

bool SqliteLock::is_in_place() const {
  struct stat locked {};
  struct stat named {};
  return is_held() && fstat(fd_, &locked) == 0 && stat(path_.c_str(), &named) == 0 &&
         locked.st_dev == named.st_dev && locked.st_ino == named.st_ino;
}

}  // namespace postback::store
