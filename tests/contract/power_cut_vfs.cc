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

// SQLite has a table of methods for each kind of locking; each has a copy here in which two methods
// are replaced. Tables and files are few.
struct Opened {
  std::string name;
  const sqlite3_io_methods* methods = nullptr;  // SQLite's own.
};
sqlite3_vfs* real = nullptr;
sqlite3_vfs wrapped;
std::map<const sqlite3_io_methods*, sqlite3_io_methods> copies;
std::map<sqlite3_file*, Opened> files;

Opened opened(sqlite3_file* file) {
  const std::lock_guard lock(mutex);
  return files.at(file);
}

std::string bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

int sync_file(sqlite3_file* file, int flags) {
  const Opened known = opened(file);
  const int result = known.methods->xSync(file, flags);
  const std::lock_guard lock(mutex);
  Synced& synced = synced_files[known.name];
  synced.bytes = bytes_of(known.name);
  ++synced.count;
  return result;
}

int close_file(sqlite3_file* file) {
  const Opened known = opened(file);
  {
    const std::lock_guard lock(mutex);
    files.erase(file);
  }
  return known.methods->xClose(file);
}

int open_file(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out_flags) {
  const int result = real->xOpen(real, name, file, flags, out_flags);
  if (result != SQLITE_OK || name == nullptr) return result;
  const std::lock_guard lock(mutex);
  const sqlite3_io_methods* own = file->pMethods;
  const auto [copy, is_new] = copies.try_emplace(own, *own);
  if (is_new) {
    copy->second.xSync = sync_file;
    copy->second.xClose = close_file;
  }
  files[file] = {name, own};
  file->pMethods = &copy->second;
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
