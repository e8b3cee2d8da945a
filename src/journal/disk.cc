#include "journal/disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/ownership.h"

namespace postback::journal {
namespace {

class RealFile final : public File {
 public:
  explicit RealFile(int fd) : fd_(fd) {}
  ~RealFile() override { ::close(fd_); }
  RealFile(const RealFile&) = delete;
  RealFile& operator=(const RealFile&) = delete;

  int64_t pwrite(std::string_view bytes, uint64_t offset) override {
    ssize_t done;
    do {
      done = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    } while (done < 0 && errno == EINTR);
    return done < 0 ? -errno : done;
  }

  int64_t pread(char* out, size_t size, uint64_t offset) override {
    size_t total = 0;
    while (total < size) {
      const ssize_t done =
          ::pread(fd_, out + total, size - total, static_cast<off_t>(offset + total));
      if (done < 0 && errno == EINTR) continue;
      if (done < 0) return -errno;
      if (done == 0) break;
      total += static_cast<size_t>(done);
    }
    return static_cast<int64_t>(total);
  }

  // Not repeated on EINTR: what a second call says about the first one's data is worth nothing.
  int fdatasync() override { return ::fdatasync(fd_) == 0 ? 0 : -errno; }
  int truncate(uint64_t size) override {
    return ::ftruncate(fd_, static_cast<off_t>(size)) == 0 ? 0 : -errno;
  }
  int64_t size() override {
    struct stat status {};
    return ::fstat(fd_, &status) == 0 ? status.st_size : -errno;
  }
  bool has_name() override {
    struct stat status {};
    return ::fstat(fd_, &status) == 0 && status.st_nlink > 0;
  }

 private:
  const int fd_;
};

class RealLock final : public Lock {
 public:
  RealLock(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  ~RealLock() override { ::close(fd_); }
  RealLock(const RealLock&) = delete;
  RealLock& operator=(const RealLock&) = delete;

  bool in_place() override {
    struct stat held {};
    struct stat named {};
    return ::fstat(fd_, &held) == 0 && ::stat(path_.c_str(), &named) == 0 &&
           held.st_dev == named.st_dev && held.st_ino == named.st_ino;
  }

 private:
  const int fd_;
  const std::string path_;
};

std::string folder_of(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

class RealDisk final : public Disk {
 public:
  int open(const std::string& path, OpenMode mode, std::unique_ptr<File>* file) override {
    const int access = mode == OpenMode::read ? O_RDONLY : O_RDWR;
    const int create = mode == OpenMode::create ? O_CREAT | O_TRUNC : 0;
    // Personal data: for the server's user and its group only.
    const int fd = ::open(path.c_str(), access | create | O_CLOEXEC, 0640);
    if (fd < 0) return -errno;
    *file = std::make_unique<RealFile>(fd);
    return 0;
  }
  int rename(const std::string& from, const std::string& to) override {
    return ::rename(from.c_str(), to.c_str()) == 0 ? 0 : -errno;
  }
  int unlink(const std::string& path) override { return ::unlink(path.c_str()) == 0 ? 0 : -errno; }

  int make_folder(const std::string& path) override {
    struct stat status {};
    if (::stat(path.c_str(), &status) == 0) return S_ISDIR(status.st_mode) ? 0 : -ENOTDIR;
    const std::string parent = folder_of(path);
    if (parent != path) {
      const int above = make_folder(parent);
      if (above != 0) return above;
    }
    if (::mkdir(path.c_str(), 0750) != 0 && errno != EEXIST) return -errno;
    return sync_folder(parent);
  }

  int sync_folder(const std::string& path) override {
    const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return -errno;
    const int result = ::fsync(fd) == 0 ? 0 : -errno;
    ::close(fd);
    return result;
  }

  int list(const std::string& path, std::vector<std::string>* names) override {
    DIR* folder = ::opendir(path.c_str());
    if (folder == nullptr) return -errno;
    names->clear();
    errno = 0;
    while (const dirent* entry = ::readdir(folder)) {
      const std::string name = entry->d_name;
      if (name != "." && name != "..") names->push_back(name);
      errno = 0;
    }
    const int result = -errno;
    ::closedir(folder);
    return result;
  }

  int space(const std::string& path, Space* space) override {
    struct statvfs status {};
    if (::statvfs(path.c_str(), &status) != 0) return -errno;
    space->free_bytes = static_cast<uint64_t>(status.f_bavail) * status.f_frsize;
    space->total_bytes = static_cast<uint64_t>(status.f_blocks) * status.f_frsize;
    return 0;
  }

  int lock(const std::string& path, std::unique_ptr<Lock>* lock) override {
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0) return -errno;
    auto held = std::make_unique<RealLock>(fd, path);
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0) return -errno;
    // Somebody may have removed the file between our opening and locking it.
    if (!held->in_place()) return -EWOULDBLOCK;
    *lock = std::move(held);
    return 0;
  }
};

}  // namespace

Disk& real_disk() {
  static RealDisk disk;
  return disk;
}

base::Status disk_error(const char* what, const std::string& path, int error) {
  const int code = error < 0 ? -error : error;
  const bool is_refused = code == EACCES || code == EPERM;
  return base::Status::error(std::string("cannot ") + what + " " + path + ": " +
                             std::strerror(code) +
                             (is_refused ? base::ownership_trouble(path) : ""));
}

}  // namespace postback::journal
