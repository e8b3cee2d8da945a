// The SQLite store whose files are deleted or replaced, or whose disk is full.
#include "sqlite_fixture.h"

namespace postback::test {
namespace {

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

}  // namespace
}  // namespace postback::test
