// A folder with a SQLite store in it, for the tests of what only that store can meet.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <deque>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "child_process.h"
#include "store/services.h"
#include "store/sqlite_lock.h"
#include "store_harness.h"

namespace postback::test {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

class SqliteStoreTest : public testing::Test {
 protected:
  std::string path() const { return folder_.path() + "/partner.db"; }
  store::StoreOptions options(int64_t writer_id = 1) {
    store::StoreOptions options;
    options.url = "sqlite:" + path();
    options.writer_id = writer_id;
    options.services = &services_;
    options.loop = core_.loop();
    options.mailbox = core_.mailbox();
    options.clock = &base::system_clock();
    return options;
  }
  TestStore& make_store(const store::StoreOptions& options) {
    return stores_.emplace_back(&core_, options);
  }
  TestStore& make_store() { return make_store(options()); }
  bool wait_state(TestStore& store, StoreState state) {
    return core_.run_until([&] { return store->status().state == state; });
  }
  // Commits one new row and expects it stored.
  void commit_one(TestStore& store, const std::string& conversion_id) {
    TestBatch batch;
    batch.add(conversion_id);
    ASSERT_EQ(store.commit(batch), BatchResult::committed) << batch.error;
    ASSERT_EQ(batch.count(RowResult::stored), 1);
  }
  std::string row_count() const {
    return sqlite_query(path(), "SELECT count(*) FROM partner_conversions")[0][0];
  }

  TestFolder folder_;
  store::Services services_;
  TestCore core_;
  std::deque<TestStore> stores_;
};

inline std::string file_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// As the header of the database file says: without what is in the log.
inline uint32_t pages_in_file(const std::string& path) {
  const std::string bytes = file_bytes(path).substr(28, 4);
  uint32_t pages = 0;
  for (const char byte : bytes) pages = pages << 8 | static_cast<unsigned char>(byte);
  return pages;
}

inline void write_file(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

}  // namespace postback::test
