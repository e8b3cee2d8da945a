// What only the SQLite store can meet: locks of other processes, damaged, deleted and full files,
// several lanes on one file. What it shares with PostgreSQL stands in store_contract_test.cc.

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
namespace {

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

std::string file_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// As the header of the database file says: without what is in the log.
uint32_t pages_in_file(const std::string& path) {
  const std::string bytes = file_bytes(path).substr(28, 4);
  uint32_t pages = 0;
  for (const char byte : bytes) pages = pages << 8 | static_cast<unsigned char>(byte);
  return pages;
}

void write_file(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

TEST_F(SqliteStoreTest, ALockOfAnotherProcessMakesBatchesUnavailableInTimeAndPasses) {
  TestStore& store = make_store();
  commit_one(store, "before");
  ChildProcess child({POSTBACK_SQLITE_CHILD, "lock", path()});
  ASSERT_EQ(child.line(), "locked");

  TestBatch batch;
  batch.add("during");
  const auto start = steady_clock::now();
  EXPECT_EQ(store.commit(batch), BatchResult::unavailable);
  EXPECT_LT(steady_clock::now() - start, milliseconds(options().batch_ms));
  EXPECT_NE(batch.error.find("lock"), std::string::npos) << batch.error;
  EXPECT_EQ(batch.conversions[0].result, RowResult::pending);
  EXPECT_EQ(store->status().state, StoreState::down);
  EXPECT_FALSE(store->can_submit());
  const StoreRead read = store.stats();  // Readers do not mind.
  EXPECT_TRUE(read.ok) << read.error;
  EXPECT_EQ(read.stats.conversion_count, 1);

  EXPECT_EQ(child.finish(), 0);
  EXPECT_EQ(store.commit(batch), BatchResult::committed) << batch.error;
  EXPECT_EQ(batch.count(RowResult::stored), 1);
  EXPECT_EQ(store->status().state, StoreState::up);
  EXPECT_EQ(row_count(), "2");
}

TEST_F(SqliteStoreTest, BatchesThatWaitForALockFailTogether) {
  TestStore& one = make_store(options(1));
  TestStore& two = make_store(options(2));
  commit_one(one, "one");
  commit_one(two, "two");
  ChildProcess child({POSTBACK_SQLITE_CHILD, "lock", path()});
  ASSERT_EQ(child.line(), "locked");
  std::deque<TestBatch> batches(4);
  const auto start = steady_clock::now();
  for (size_t i = 0; i < batches.size(); ++i) {
    batches[i].add("wait" + std::to_string(i));
    (i < 2 ? one : two)->submit(batches[i]);
    if (i == 0) core_.turn(milliseconds(100));  // The writer has begun to wait for the first.
  }
  ASSERT_TRUE(core_.run_until(
      [&] { return one.batches_done.size() == 3 && two.batches_done.size() == 3; }));
  EXPECT_LT(steady_clock::now() - start, milliseconds(options().batch_ms));
  for (const TestBatch& batch : batches) EXPECT_EQ(batch.result, BatchResult::unavailable);
}

TEST_F(SqliteStoreTest, AWriterThatDoesNotAnswerInTimeMakesTheStoreDownUntilItDoes) {
  store::StoreOptions patient = options(1);
  patient.batch_ms = 20'000;
  store::StoreOptions hasty = options(2);
  hasty.batch_ms = 300;
  TestStore& one = make_store(patient);
  TestStore& two = make_store(hasty);
  commit_one(one, "one");
  commit_one(two, "two");
  ChildProcess child({POSTBACK_SQLITE_CHILD, "lock", path()});
  ASSERT_EQ(child.line(), "locked");
  TestBatch first;
  first.add("first");
  one->submit(first);
  core_.turn(milliseconds(100));  // The writer has begun to wait, for `one`'s long time.
  TestBatch second;
  second.add("second");
  two->submit(second);
  ASSERT_TRUE(wait_state(two, StoreState::down));
  EXPECT_FALSE(two.finished(second));
  EXPECT_FALSE(two->can_submit());
  EXPECT_NE(two->status().error.find("300 ms"), std::string::npos) << two->status().error;
  EXPECT_EQ(child.finish(), 0);
  ASSERT_TRUE(core_.run_until([&] { return one.finished(first) && two.finished(second); }));
  EXPECT_EQ(first.result, BatchResult::committed) << first.error;
  EXPECT_EQ(second.result, BatchResult::committed) << second.error;
  EXPECT_TRUE(wait_state(two, StoreState::up));
}

TEST_F(SqliteStoreTest, AReadThatWaitsForTheOpenIsGivenUpInTime) {
  {
    TestStore& first = make_store();
    ASSERT_NO_FATAL_FAILURE(commit_one(first, "first"));
    first.close();
  }
  ChildProcess child({POSTBACK_SQLITE_CHILD, "lock", path()});
  ASSERT_EQ(child.line(), "locked");
  store::StoreOptions impatient = options(2);
  impatient.batch_ms = 30'000;  // The open waits for the lock longer than the read may.
  impatient.read_ms = 500;
  TestStore& store = make_store(impatient);
  const StoreRead read = store.stats();
  EXPECT_FALSE(read.ok);
  EXPECT_NE(read.error.find("500 ms"), std::string::npos) << read.error;
  EXPECT_EQ(child.finish(), 0);
  ASSERT_TRUE(wait_state(store, StoreState::up));
  EXPECT_EQ(store.stats().stats.conversion_count, 1);
}

TEST_F(SqliteStoreTest, WhileAnotherProcessWritesTheFileTheStoreIsDownAndTakesOverAtItsEnd) {
  ChildProcess child({POSTBACK_SQLITE_CHILD, "write", path()});
  ASSERT_NE(child.line(), "");
  TestStore& store = make_store();
  TestBatch batch;
  batch.add("second");
  EXPECT_EQ(store.commit(batch), BatchResult::unavailable);
  EXPECT_NE(batch.error.find("SQLite " + path()), std::string::npos) << batch.error;
  EXPECT_NE(batch.error.find("another postbackd process"), std::string::npos) << batch.error;
  EXPECT_EQ(store->status().state, StoreState::down);
  EXPECT_EQ(store->status().error, batch.error);
  EXPECT_FALSE(store->can_submit());
  const StoreRead read = store.stats();
  EXPECT_FALSE(read.ok);
  EXPECT_NE(read.error.find("another postbackd process"), std::string::npos) << read.error;
  core_.turn(milliseconds(1500));  // By then the pauses between attempts have grown.

  child.kill_hard();
  const auto start = steady_clock::now();
  ASSERT_TRUE(wait_state(store, StoreState::up)) << store->status().error;
  EXPECT_LT(steady_clock::now() - start, milliseconds(1500));
  EXPECT_EQ(store.commit(batch), BatchResult::committed) << batch.error;
  EXPECT_EQ(batch.count(RowResult::stored), 1);
}

TEST_F(SqliteStoreTest, TheFileIsFreeForOthersOnceItsLastLaneHasLeft) {
  TestStore& one = make_store(options(1));
  TestStore& two = make_store(options(2));
  ASSERT_NO_FATAL_FAILURE(commit_one(one, "one"));
  ASSERT_NO_FATAL_FAILURE(commit_one(two, "two"));
  store::SqliteLock lock;
  one.close();
  EXPECT_FALSE(lock.acquire(path()).ok());
  two.close();
  EXPECT_TRUE(lock.acquire(path()).ok());
}

TEST_F(SqliteStoreTest, AFailedOpenLeavesTheFileFreeForOthers) {
  write_file(path(), "not a database " + std::string(8000, '#'));
  TestStore& store = make_store();
  TestBatch batch;
  batch.add("x");
  EXPECT_EQ(store.commit(batch), BatchResult::schema);
  store::SqliteLock lock;
  EXPECT_TRUE(lock.acquire(path()).ok());
}

TEST_F(SqliteStoreTest, ADeletedLockFileIsNoticedAndMadeAnew) {
  TestStore& store = make_store();
  ASSERT_NO_FATAL_FAILURE(commit_one(store, "before"));
  ASSERT_TRUE(fs::remove(path() + "-lock"));
  TestBatch batch;
  batch.add("after");
  EXPECT_EQ(store.commit(batch), BatchResult::unavailable);
  EXPECT_NE(batch.error.find("-lock file was deleted"), std::string::npos) << batch.error;
  EXPECT_EQ(store.commit(batch), BatchResult::committed) << batch.error;
  EXPECT_EQ(batch.count(RowResult::stored), 1);
  EXPECT_EQ(row_count(), "2");
  store::SqliteLock lock;
  EXPECT_FALSE(lock.acquire(path()).ok());
}

TEST_F(SqliteStoreTest, ALockFileThatMayNotBeWrittenIsNamed) {
  fs::create_directory(path() + "-lock");
  TestStore& store = make_store();
  TestBatch batch;
  batch.add("x");
  EXPECT_EQ(store.commit(batch), BatchResult::unavailable);
  EXPECT_NE(batch.error.find(path() + "-lock"), std::string::npos) << batch.error;
  fs::remove(path() + "-lock");
  EXPECT_EQ(store.commit(batch), BatchResult::committed) << batch.error;
}

TEST_F(SqliteStoreTest, TheLockIsNotInheritedByOtherPrograms) {
  TestStore& store = make_store();
  ASSERT_NO_FATAL_FAILURE(commit_one(store, "x"));
  int found = 0;
  for (const auto& entry : fs::directory_iterator("/proc/self/fd")) {
    std::error_code gone;  // The iterator's own descriptor is among them.
    if (fs::read_symlink(entry.path(), gone) != path() + "-lock") continue;
    ++found;
    const int flags = fcntl(std::stoi(entry.path().filename()), F_GETFD);
    EXPECT_TRUE((flags & FD_CLOEXEC) != 0);
  }
  EXPECT_EQ(found, 1);
}

TEST_F(SqliteStoreTest, ANewerSchemaIsRefusedInTheWordsOfTheDocuments) {
  TestStore& before = make_store();
  TestBatch row;
  row.add("row");
  ASSERT_EQ(before.commit(row), BatchResult::committed) << row.error;
  before.close();
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(path().c_str(), &other), SQLITE_OK);
  EXPECT_EQ(
      sqlite3_exec(other, "UPDATE postback_schema SET version = 99", nullptr, nullptr, nullptr),
      SQLITE_OK);
  ASSERT_EQ(sqlite3_close(other), SQLITE_OK);

  TestStore& store = make_store();
  TestBatch batch;
  batch.add("x");
  EXPECT_EQ(store.commit(batch), BatchResult::schema);
  EXPECT_NE(batch.error.find("the database has schema version 99, this program knows up to 3"),
            std::string::npos)
      << batch.error;
  EXPECT_EQ(store->status().state, StoreState::schema_wrong);
  store.close();
  EXPECT_EQ(sqlite_query(path(), "SELECT count(*) FROM partner_conversions")[0][0], "1");
}

TEST_F(SqliteStoreTest, AFileThatIsNoDatabaseIsLeftAsItIs) {
  const std::string text =
      "This is not a database, but somebody's only copy of something.\n" + std::string(8000, '#');
  write_file(path(), text);
  TestStore& store = make_store();
  TestBatch batch;
  batch.add("x");
  EXPECT_EQ(store.commit(batch), BatchResult::schema);
  EXPECT_EQ(store->status().state, StoreState::schema_wrong);
  EXPECT_NE(batch.error.find("not a database"), std::string::npos) << batch.error;
  EXPECT_FALSE(store->can_submit());
  store.close();
  EXPECT_EQ(file_bytes(path()), text);
}

TEST_F(SqliteStoreTest, ACorruptDatabaseIsNotWrittenTo) {
  TestStore& before = make_store();
  TestBatch rows;
  for (int i = 0; i < 500; ++i) rows.add("row" + std::to_string(i));
  ASSERT_EQ(before.commit(rows), BatchResult::committed) << rows.error;
  before.close();
  std::string bytes = file_bytes(path());
  ASSERT_GT(bytes.size(), 5u * 4096);
  std::fill(bytes.begin() + 4096, bytes.end(), '\xff');  // All pages but the first.
  write_file(path(), bytes);

  TestStore& store = make_store();
  TestBatch batch;
  batch.add("x");
  EXPECT_EQ(store.commit(batch), BatchResult::schema);
  EXPECT_NE(batch.error.find("malformed"), std::string::npos) << batch.error;
  EXPECT_EQ(store->status().state, StoreState::schema_wrong);
  store.close();
  EXPECT_TRUE(file_bytes(path()) == bytes) << "the damaged file was changed";
}

// What a kill can show: a batch is acknowledged after its commit, rows and counts stay together,
// and the next process takes the files as they are. Whether they are on the disk is shown by
// sqlite_power_test.cc: a kill leaves the kernel's memory as it is.
TEST_F(SqliteStoreTest, AKilledWriterLeavesEveryCommittedRowAndRightCounts) {
  const auto seed = std::random_device{}();
  std::cout << "seed " << seed << '\n';
  std::mt19937 random(seed);
  std::uniform_int_distribution<int> lines(1, 120);
  std::set<std::string> acknowledged;
  for (int round = 0; round < 6; ++round) {
    ChildProcess child({POSTBACK_SQLITE_CHILD, "write", path()});
    for (int left = lines(random); left > 0; --left) {
      const std::string id = child.line();
      ASSERT_NE(id, "");
      acknowledged.insert(id);
    }
    child.kill_hard();
    while (true) {  // What it had acknowledged by then.
      const std::string id = child.line();
      if (id.empty()) break;
      acknowledged.insert(id);
    }
  }
  TestStore& store = make_store();
  ASSERT_NO_FATAL_FAILURE(commit_one(store, "after"));
  std::set<std::string> stored;
  for (const auto& row : sqlite_query(path(), "SELECT conversion_id FROM partner_conversions")) {
    EXPECT_TRUE(stored.insert(row[0]).second);
  }
  for (const std::string& id : acknowledged) EXPECT_TRUE(stored.count(id) == 1) << id;
  const StoreRead read = store.stats();
  EXPECT_EQ(read.stats.conversion_count, static_cast<int64_t>(stored.size()));
  EXPECT_EQ(read.stats.sale_amount, decimal(std::to_string(stored.size() - 1)));
  EXPECT_EQ(sqlite_query(path(), "PRAGMA integrity_check")[0][0], "ok");
}

// And is not made anew: somebody may be about to restore it.
TEST_F(SqliteStoreTest, ADeletedDatabaseIsNoticedBeforeAnythingIsAcknowledgedAndWaitedFor) {
  TestStore& store = make_store();
  ASSERT_NO_FATAL_FAILURE(commit_one(store, "before"));
  EXPECT_TRUE(store.stats().ok);  // The reader is connected too.
  const std::string copy = folder_.path() + "/copy.db";
  ASSERT_EQ(sqlite_query(path(), "VACUUM INTO '" + copy + "'").size(), 0u);
  for (const char* suffix : {"", "-wal", "-shm"}) ASSERT_TRUE(fs::remove(path() + suffix));
  TestBatch batch;
  batch.add("after");
  EXPECT_EQ(store.commit(batch), BatchResult::unavailable);
  EXPECT_NE(batch.error.find("deleted"), std::string::npos) << batch.error;
  const auto is_told = [&] {
    return store->status().error.find("does not make it anew") != std::string::npos;
  };
  ASSERT_TRUE(core_.run_until(is_told)) << store->status().error;
  EXPECT_EQ(store->status().state, StoreState::down);
  EXPECT_EQ(store->status().identity_changes, 1u);
  EXPECT_FALSE(fs::exists(path()));
  fs::rename(copy, path());
  EXPECT_EQ(store.commit(batch), BatchResult::committed) << batch.error;
  EXPECT_EQ(row_count(), "2");
  EXPECT_EQ(store->status().openings, 2u);
}

TEST_F(SqliteStoreTest, ADeletedWalLosesNothing) {
  TestStore& store = make_store();
  ASSERT_NO_FATAL_FAILURE(commit_one(store, "before"));
  EXPECT_TRUE(store.stats().ok);
  ASSERT_TRUE(fs::remove(path() + "-wal"));
  TestBatch batch;
  batch.add("after");
  EXPECT_EQ(store.commit(batch), BatchResult::unavailable);
  EXPECT_EQ(store.commit(batch), BatchResult::committed) << batch.error;
  EXPECT_EQ(row_count(), "2");
  EXPECT_EQ(store.stats().stats.conversion_count, 2);
  store.close();
  EXPECT_EQ(row_count(), "2");
  EXPECT_EQ(sqlite_query(path(), "PRAGMA integrity_check")[0][0], "ok");
}

TEST_F(SqliteStoreTest, ADeletedWalLosesNothingWhileAnotherProgramHasTheFileOpen) {
  TestStore& store = make_store();
  ASSERT_NO_FATAL_FAILURE(commit_one(store, "before"));
  sqlite3* other = nullptr;  // Keeps the writer's connection from being the last.
  ASSERT_EQ(sqlite3_open_v2(path().c_str(), &other, SQLITE_OPEN_READONLY, nullptr), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "SELECT * FROM postback_stats", nullptr, nullptr, nullptr),
            SQLITE_OK);
  ASSERT_TRUE(fs::remove(path() + "-wal"));
  TestBatch batch;
  batch.add("after");
  EXPECT_EQ(store.commit(batch), BatchResult::unavailable);
  EXPECT_EQ(sqlite3_close(other), SQLITE_OK);
  EXPECT_EQ(store.commit(batch), BatchResult::committed) << batch.error;
  EXPECT_EQ(row_count(), "2");
  EXPECT_EQ(sqlite_query(path(), "PRAGMA integrity_check")[0][0], "ok");
}

TEST_F(SqliteStoreTest, AReplacedDatabaseIsTakenUpAndItsFilesAreLeftAlone) {
  TestStore& store = make_store();
  ASSERT_NO_FATAL_FAILURE(commit_one(store, "in the old file"));
  {
    store::StoreOptions other = options(2);
    other.url += ".new";
    TestStore& maker = make_store(other);
    ASSERT_NO_FATAL_FAILURE(commit_one(maker, "in the new file"));
    maker.close();
  }
  for (const char* suffix : {"-wal", "-shm"}) ASSERT_TRUE(fs::remove(path() + suffix));
  fs::rename(path() + ".new", path());
  TestBatch batch;
  batch.add("after");
  EXPECT_EQ(store.commit(batch), BatchResult::unavailable);
  EXPECT_EQ(store.commit(batch), BatchResult::committed) << batch.error;
  const auto rows =
      sqlite_query(path(), "SELECT conversion_id FROM partner_conversions ORDER BY 1");
  EXPECT_EQ(rows, (TestDatabase::Rows{{"after"}, {"in the new file"}}));
  EXPECT_EQ(store->status().identity_changes, 1u);
}

TEST_F(SqliteStoreTest, AFullDiskIsUnavailableAndLosesNothing) {
  signal(SIGXFSZ, SIG_IGN);  // As main does: the write fails with EFBIG instead.
  TestStore& store = make_store();
  ASSERT_NO_FATAL_FAILURE(commit_one(store, "first"));
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit tight{400'000, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &tight), 0);
  std::deque<TestBatch> batches;
  int64_t committed = 1;
  BatchResult result = BatchResult::committed;
  while (result == BatchResult::committed && batches.size() < 200) {
    TestBatch& batch = batches.emplace_back();
    for (int i = 0; i < 20; ++i) {
      batch.add("full" + std::to_string(next_id())).set(Field::raw_data, std::string(500, 'x'));
    }
    result = store.commit(batch);
    if (result == BatchResult::committed) committed += 20;
  }
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_EQ(result, BatchResult::unavailable);
  EXPECT_GT(committed, 1);
  EXPECT_EQ(store.commit(batches.back()), BatchResult::committed) << batches.back().error;
  EXPECT_EQ(store.stats().stats.conversion_count, committed + 20);
  EXPECT_EQ(row_count(), std::to_string(committed + 20));
}

TEST_F(SqliteStoreTest, TheDatabaseFileHasTheRoomForAllThatIsInItsLog) {
  TestStore& store = make_store();
  const auto expect_room = [&] {
    const std::string pages = sqlite_query(path(), "PRAGMA page_count")[0][0];
    struct stat status {};
    ASSERT_EQ(stat(path().c_str(), &status), 0);
    EXPECT_GE(status.st_blocks * 512, std::stoll(pages) * 4096);
  };
  for (int round = 0; round < 12; ++round) {
    TestBatch batch;
    for (int i = 0; i < 250; ++i) {
      batch.add("room" + std::to_string(next_id())).set(Field::raw_data, std::string(1000, 'x'));
    }
    ASSERT_EQ(store.commit(batch), BatchResult::committed) << batch.error;
    expect_room();
  }
}

// A disk of its own that something else fills, down to the last block.
TEST_F(SqliteStoreTest, ADiskWithoutAFreeBlockKeepsNothingInTheLogThatBelongsIntoTheDatabase) {
  if (mount("tmpfs", folder_.path().c_str(), "tmpfs", 0, "size=24m") != 0) {
    GTEST_SKIP() << "mounting is not allowed here";
  }
  struct Mounted {
    const std::string& path;
    ~Mounted() { EXPECT_EQ(umount2(path.c_str(), MNT_DETACH), 0); }
  } mounted{folder_.path()};
  const std::string filler = folder_.path() + "/filler";
  const auto add_rows = [&](TestBatch* batch, int count) {
    for (int i = 0; i < count; ++i) {
      batch->add("disk" + std::to_string(next_id())).set(Field::raw_data, std::string(1000, 'x'));
    }
  };
  int64_t committed = 0;
  {
    TestStore& store = make_store();
    for (int round = 0; round < 3; ++round) {
      TestBatch batch;
      add_rows(&batch, 250);
      ASSERT_EQ(store.commit(batch), BatchResult::committed) << batch.error;
      committed += 250;
    }
    struct statvfs disk {};
    ASSERT_EQ(statvfs(folder_.path().c_str(), &disk), 0);
    const int fd = open(filler.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    ASSERT_EQ(posix_fallocate(fd, 0, static_cast<off_t>(disk.f_bavail * disk.f_frsize)), 0);
    close(fd);
    TestBatch refused;
    add_rows(&refused, 1000);
    EXPECT_EQ(store.commit(refused), BatchResult::unavailable);
    EXPECT_NE(refused.error.find("free space on the disk"), std::string::npos) << refused.error;
    // The log went into the database, and what it took on the disk is free for new commits.
    ASSERT_TRUE(core_.run_until([&] { return store->can_submit(); }));
    TestBatch small;
    add_rows(&small, 5);
    EXPECT_EQ(store.commit(small), BatchResult::committed) << small.error;
    committed += 5;
    ASSERT_EQ(unlink(filler.c_str()), 0);
    ASSERT_TRUE(core_.run_until([&] { return store->can_submit(); }));
    EXPECT_EQ(store.commit(refused), BatchResult::committed) << refused.error;
    committed += 1000;
    store.close();
  }
  EXPECT_EQ(row_count(), std::to_string(committed));
}

TEST_F(SqliteStoreTest, AFolderThatCannotBeMadeIsUnavailableUntilItCan) {
  write_file(folder_.path() + "/data", "a file where a folder should be");
  store::StoreOptions blocked = options();
  blocked.url = "sqlite:" + folder_.path() + "/data/partner.db";
  TestStore& store = make_store(blocked);
  const StoreRead read = store.stats();
  EXPECT_FALSE(read.ok);
  EXPECT_NE(read.error, "");
  EXPECT_EQ(store->status().state, StoreState::down);
  fs::remove(folder_.path() + "/data");
  EXPECT_TRUE(wait_state(store, StoreState::up)) << store->status().error;
  EXPECT_TRUE(store.stats().ok);
}

TEST_F(SqliteStoreTest, AClashOfRowIdsIsRefusedAndNeverCalledADuplicate) {
  TestStore& one = make_store(options(1));
  TestStore& two = make_store(options(2));
  TestBatch first;
  const int64_t id = first.add("first").id;
  ASSERT_EQ(one.commit(first), BatchResult::committed) << first.error;
  commit_one(two, "two");
  // Committed together or not, only the batch with the clash fails.
  TestBatch clash;
  clash.add("good").usd_sale_amount = decimal("1");
  clash.add("second").id = id;
  TestBatch bystander;
  bystander.add("bystander");
  one->submit(clash);
  two->submit(bystander);
  ASSERT_TRUE(core_.run_until([&] { return one.finished(clash) && two.finished(bystander); }));
  EXPECT_EQ(clash.result, BatchResult::rejected);
  EXPECT_TRUE(clash.id_taken);
  EXPECT_FALSE(bystander.id_taken);
  EXPECT_EQ(bystander.result, BatchResult::committed) << bystander.error;
  EXPECT_EQ(one->status().state, StoreState::up);
  EXPECT_EQ(row_count(), "3");
  EXPECT_EQ(one.stats().stats.conversion_count, 3);
  EXPECT_EQ(one.stats().stats.sale_amount, Decimal());
}

TEST_F(SqliteStoreTest, BatchesThatWaitTogetherAreCommittedTogetherExceptTheRefusedOne) {
  std::deque<TestBatch> batches(8);
  std::vector<TestStore*> lanes;
  for (int i = 0; i < 8; ++i) lanes.push_back(&make_store(options(i + 1)));
  // All are posted before the thread has even opened the file.
  for (size_t i = 0; i < batches.size(); ++i) {
    Conversion& conversion = batches[i].add("lane" + std::to_string(i));
    if (i == 3) conversion.unset(Field::conversion_id);
    (*lanes[i])->submit(batches[i]);
  }
  ASSERT_TRUE(core_.run_until([&] {
    for (size_t i = 0; i < 8; ++i) {
      if (!lanes[i]->finished(batches[i])) return false;
    }
    return true;
  }));
  for (size_t i = 0; i < 8; ++i) {
    EXPECT_EQ(batches[i].result, i == 3 ? BatchResult::rejected : BatchResult::committed) << i;
  }
  EXPECT_EQ(lanes[0]->stats().stats.conversion_count, 7);
}

TEST_F(SqliteStoreTest, EverySpellingOfAPathIsOneDatabase) {
  fs::create_symlink(folder_.path(), folder_.path() + "/link");
  store::SqliteDatabases& databases = services_.impl().sqlite;
  store::SqliteDatabase* database = &databases.at(path());
  EXPECT_EQ(database, &databases.at(folder_.path() + "/./link/link/partner.db"));
  EXPECT_NE(database, &databases.at(folder_.path() + "/other.db"));
  const fs::path relative = fs::relative(path());
  EXPECT_EQ(database, &databases.at(relative.string()));
}

TEST_F(SqliteStoreTest, AnIdleDatabaseIsClosedAndOpensAgainAtNeed) {
  store::StoreOptions quick = options();
  quick.idle_ms = 100;
  TestStore& store = make_store(quick);
  ASSERT_NO_FATAL_FAILURE(commit_one(store, "first"));
  EXPECT_TRUE(store.stats().ok);
  EXPECT_TRUE(fs::exists(path() + "-wal"));
  ASSERT_TRUE(wait_state(store, StoreState::idle));
  // Closing the last connection moves everything into the one file.
  EXPECT_TRUE(core_.run_until([&] { return !fs::exists(path() + "-wal"); }));
  EXPECT_EQ(store.stats().stats.conversion_count, 1);
  ASSERT_NO_FATAL_FAILURE(commit_one(store, "second"));
}

TEST_F(SqliteStoreTest, ADatabaseStaysOpenForTheLanesThatStillUseIt) {
  TestStore& one = make_store(options(1));
  TestStore& two = make_store(options(2));
  ASSERT_NO_FATAL_FAILURE(commit_one(one, "one"));
  ASSERT_NO_FATAL_FAILURE(commit_one(two, "two"));
  one.close();
  EXPECT_TRUE(fs::exists(path() + "-wal"));
  ASSERT_NO_FATAL_FAILURE(commit_one(two, "three"));
  EXPECT_EQ(two.stats().stats.conversion_count, 3);
  two.close();
  EXPECT_FALSE(fs::exists(path() + "-wal"));
  EXPECT_EQ(row_count(), "3");
}

TEST_F(SqliteStoreTest, AnIdleWriterMovesALongWalIntoTheDatabase) {
  TestStore& store = make_store();
  std::deque<TestBatch> batches(6);
  for (TestBatch& batch : batches) {
    for (int i = 0; i < 1000; ++i) {
      batch.add("wal" + std::to_string(next_id())).set(Field::raw_data, std::string(1000, 'x'));
    }
    ASSERT_EQ(store.commit(batch), BatchResult::committed) << batch.error;
  }
  EXPECT_TRUE(core_.run_until([&] { return pages_in_file(path()) > 1000; }));
  EXPECT_EQ(store.stats().stats.conversion_count, 6000);
}

TEST_F(SqliteStoreTest, TimesAreTextThatSortsByTime) {
  TestStore& store = make_store();
  TestBatch batch;
  for (const int64_t offset : {0, 1, 999'999, 1'000'000}) {
    batch.add("t" + std::to_string(offset)).received_at_us = kSomeTimeUs + offset;
  }
  ASSERT_EQ(store.commit(batch), BatchResult::committed) << batch.error;
  const auto rows =
      sqlite_query(path(), "SELECT received_at FROM partner_conversions ORDER BY received_at");
  EXPECT_EQ(rows, (TestDatabase::Rows{{"2025-01-15T10:20:30.000000Z"},
                                      {"2025-01-15T10:20:30.000001Z"},
                                      {"2025-01-15T10:20:30.999999Z"},
                                      {"2025-01-15T10:20:31.000000Z"}}));
}

}  // namespace
}  // namespace postback::test
