// What only the SQLite store can meet: locks of other processes, damaged files, several lanes on
// one file. What it shares with PostgreSQL stands in store_contract_test.cc.
#include "sqlite_fixture.h"

namespace postback::test {
namespace {

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
