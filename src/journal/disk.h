// The disk as the journal uses it: a seam, so that tests can fail every operation and cut the
// power. One real implementation here; the fake one lives in the tests.
//
// Every function returns 0 (or a count) or a negative errno; all of them block. Any thread, one at
// a time per file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace postback::journal {

// An open file; the destructor closes it and never syncs.
class File {
 public:
  virtual ~File() = default;
  // Bytes written, perhaps fewer than asked.
  virtual int64_t pwrite(std::string_view bytes, uint64_t offset) = 0;
  // Bytes read; fewer than asked only at the end of the file.
  virtual int64_t pread(char* out, size_t size, uint64_t offset) = 0;
  // After a failure the data must be taken for lost: a second call would return 0 without them.
  virtual int fdatasync() = 0;
  virtual int truncate(uint64_t size) = 0;
  virtual int64_t size() = 0;
  // False: it was removed while open, and what is written to it is gone when it is closed.
  virtual bool has_name() = 0;
};

// An exclusive lock, given back by the destructor.
class Lock {
 public:
  virtual ~Lock() = default;
  // The path still leads to the locked file: nobody moved, removed or replaced the folder.
  virtual bool in_place() = 0;
};

struct Space {
  uint64_t free_bytes = 0;  // For a process without privileges.
  uint64_t total_bytes = 0;
  // What was written and synced once can be overwritten without new space.
  bool overwrites_in_place = true;
};

enum class OpenMode : uint8_t {
  read,
  write,   // Read and write a file that exists.
  create,  // Read and write a new file; one of this name is emptied.
};

class Disk {
 public:
  virtual ~Disk() = default;
  virtual int open(const std::string& path, OpenMode mode, std::unique_ptr<File>* file) = 0;
  virtual int rename(const std::string& from, const std::string& to) = 0;
  virtual int unlink(const std::string& path) = 0;
  // With those above it as far as missing, each synced into the folder that holds it.
  virtual int make_folder(const std::string& path) = 0;
  virtual int sync_folder(const std::string& path) = 0;
  // Names in the folder, in no order.
  virtual int list(const std::string& path, std::vector<std::string>* names) = 0;
  virtual int space(const std::string& path, Space* space) = 0;
  // Makes the file if missing. -EWOULDBLOCK: somebody else holds it.
  virtual int lock(const std::string& path, std::unique_ptr<Lock>* lock) = 0;
};

Disk& real_disk();

// "cannot WHAT PATH: the system's words".
base::Status disk_error(const char* what, const std::string& path, int error);

}  // namespace postback::journal
