#include "power_cut_vfs.h"

#include <sqlite3.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <mutex>

#include "base/check.h"

namespace postback::test::power_cut_vfs {
namespace {

struct Synced {
  std::string bytes;
  uint64_t count = 0;
};

std::mutex mutex;  // Guards what follows.
std::map<std::string, Synced> synced_files;

// The methods of a file with one of them replaced. SQLite's own methods stand in one table for each
// kind of locking, so one copy of it serves; which file is meant is told by the map.
sqlite3_vfs* real = nullptr;
sqlite3_vfs wrapped;
const sqlite3_io_methods* real_methods = nullptr;
sqlite3_io_methods methods;
std::map<sqlite3_file*, std::string> names;

std::string bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

int sync_file(sqlite3_file* file, int flags) {
  const int result = real_methods->xSync(file, flags);
  const std::lock_guard lock(mutex);
  Synced& synced = synced_files[names[file]];
  synced.bytes = bytes_of(names[file]);
  ++synced.count;
  return result;
}

int close_file(sqlite3_file* file) {
  {
    const std::lock_guard lock(mutex);
    names.erase(file);
  }
  return real_methods->xClose(file);
}

int open_file(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out_flags) {
  const int result = real->xOpen(real, name, file, flags, out_flags);
  if (result != SQLITE_OK || name == nullptr) return result;
  const std::lock_guard lock(mutex);
  if (real_methods == nullptr) {
    real_methods = file->pMethods;
    methods = *real_methods;
    methods.xSync = sync_file;
    methods.xClose = close_file;
  }
  CHECK(file->pMethods == real_methods);
  file->pMethods = &methods;
  names[file] = name;
  return SQLITE_OK;
}

int delete_file(sqlite3_vfs*, const char* name, int sync_folder) {
  {
    const std::lock_guard lock(mutex);
    synced_files.erase(name);
  }
  return real->xDelete(real, name, sync_folder);
}

}  // namespace

void install() {
  if (real != nullptr) return;
  real = sqlite3_vfs_find(nullptr);
  wrapped = *real;
  wrapped.zName = "power-cut";
  wrapped.xOpen = open_file;
  wrapped.xDelete = delete_file;
  CHECK(sqlite3_vfs_register(&wrapped, 1) == SQLITE_OK);
}

uint64_t sync_count(const std::string& path) {
  const std::lock_guard lock(mutex);
  return synced_files[path].count;
}

void write_survivors(const std::string& path, const std::string& to) {
  const std::lock_guard lock(mutex);
  for (const char* suffix : {"", "-wal"}) {
    std::ofstream(to + suffix, std::ios::binary) << synced_files[path + suffix].bytes;
  }
}

}  // namespace postback::test::power_cut_vfs
