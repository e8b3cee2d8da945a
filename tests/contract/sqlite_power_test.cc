// Power cuts and copies of a SQLite database, beside a store that writes it.
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <deque>
#include <filesystem>
#include <string>
#include <thread>

#include "power_cut_vfs.h"
#include "store_harness.h"

namespace postback::test {
namespace {

class SqlitePowerTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { power_cut_vfs::install(); }
  std::string path() const { return std::filesystem::canonical(folder_.path()).string() + "/p.db"; }
  store::StoreOptions options() {
    store::StoreOptions options;
    options.url = "sqlite:" + path();
    options.writer_id = 1;
    options.services = &services_;
    options.loop = core_.loop();
    options.mailbox = core_.mailbox();
    options.clock = &base::system_clock();
    return options;
  }

  // 0 also where the table itself is lost.
  static int64_t row_count(const std::string& path) {
    const auto tables =
        sqlite_query(path, "SELECT 1 FROM sqlite_master WHERE name = 'partner_conversions'");
    if (tables.empty()) return 0;
    return std::stoll(sqlite_query(path, "SELECT count(*) FROM partner_conversions")[0][0]);
  }

  TestFolder folder_;
  store::Services services_;
  TestCore core_;
};

// A kill cannot show this: the kernel keeps what a process has written. Here only what was synced
// by the time of the acknowledgement is left.
TEST_F(SqlitePowerTest, EveryRowThatWasAcknowledgedIsThereAfterAPowerCut) {
  TestStore store(&core_, options());
  const std::string after = folder_.path() + "/after.db";
  int64_t stored = 0;
  for (int round = 0; round < 14; ++round) {
    TestBatch batch;
    // One large batch, so that the log grows beyond a checkpoint.
    const int rows = round == 7 ? 1000 : 3;
    for (int i = 0; i < rows; ++i) {
      batch.add("c" + std::to_string(next_id()))
          .set(Field::raw_data, std::string(rows == 3 ? 10 : 4500, 'x'));
    }
    ASSERT_EQ(store.commit(batch), BatchResult::committed) << batch.error;
    stored += batch.count(RowResult::stored);
    power_cut_vfs::write_survivors(path(), after);
    ASSERT_EQ(row_count(after), stored) << "after batch " << round;
    ASSERT_EQ(sqlite_query(after, "PRAGMA integrity_check")[0][0], "ok") << "after batch " << round;
    for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(after + suffix);
  }
  EXPECT_GT(power_cut_vfs::sync_count(path() + "-wal"), 14u);
  EXPECT_TRUE(core_.run_until([&] { return power_cut_vfs::sync_count(path()) > 1; }))
      << "no checkpoint was among the moments";
  store.close();
}

// What the documents advise for a copy: `sqlite3 -readonly FILE "VACUUM INTO 'copy'"`. SQLite's
// backup interface, which the shell's .backup uses, begins again at each commit of the store.
TEST_F(SqlitePowerTest, ACopyByVacuumIntoEndsAndIsWholeWhileTheStoreWrites) {
  TestStore store(&core_, options());
  const auto commit = [&](int rows) {
    TestBatch batch;
    for (int i = 0; i < rows; ++i) {
      batch.add("c" + std::to_string(next_id())).set(Field::raw_data, std::string(500, 'x'));
    }
    EXPECT_EQ(store.commit(batch), BatchResult::committed) << batch.error;
  };
  for (int i = 0; i < 2; ++i) commit(1000);
  std::atomic<int> result{-1};
  std::thread copier([&] {
    sqlite3* handle = nullptr;
    int code = sqlite3_open_v2(path().c_str(), &handle, SQLITE_OPEN_READONLY, nullptr);
    const std::string sql = "VACUUM INTO '" + folder_.path() + "/copy.db'";
    if (code == SQLITE_OK) code = sqlite3_exec(handle, sql.c_str(), nullptr, nullptr, nullptr);
    sqlite3_close(handle);
    result = code;
  });
  int meanwhile = 0;
  for (; result < 0 && meanwhile < 20'000; ++meanwhile) commit(1);
  copier.join();
  EXPECT_EQ(result, SQLITE_OK);
  EXPECT_GT(meanwhile, 0);
  const std::string copy = folder_.path() + "/copy.db";
  EXPECT_EQ(sqlite_query(copy, "PRAGMA integrity_check")[0][0], "ok");
  EXPECT_GE(std::stoi(sqlite_query(copy, "SELECT count(*) FROM partner_conversions")[0][0]), 2000);
  EXPECT_EQ(sqlite_query(copy, "SELECT sum(conversion_count) FROM postback_stats"),
            sqlite_query(copy, "SELECT count(*) FROM partner_conversions"))
      << "one moment's state";
  store.close();
}

}  // namespace
}  // namespace postback::test
