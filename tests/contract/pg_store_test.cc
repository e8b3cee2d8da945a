// What only the PostgreSQL store has: a server that may be missing, paused, restarted or wrong.
#include <gtest/gtest.h>
#include <libpq-fe.h>

#include "pg_fixture.h"
#include "tcp_proxy.h"

namespace postback::store {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using test::PostgresServer;

class PgStore : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (PostgresServer::available()) server_ = new PostgresServer;
  }
  static void TearDownTestSuite() {
    delete server_;
    server_ = nullptr;
  }
  void SetUp() override {
    if (server_ == nullptr) GTEST_SKIP() << "PostgreSQL is not installed";
    static int count = 0;
    database_ = "partner_" + std::to_string(++count);
  }

  std::string url() const { return server_->url(database_); }
  std::string value(const std::string& sql) const { return server_->value(database_, sql); }
  void sql(const std::string& text) const { server_->query(database_, text); }
  std::string row_count() const { return value("SELECT count(*) FROM partner_conversions"); }
  std::string counted() const {
    return value(
        "SELECT sum(conversion_count) || ' ' || sum(duplicate_count) || ' ' || "
        "sum(quarantined_count) FROM postback_stats");
  }

  static PostgresServer* server_;
  std::string database_;
};

PostgresServer* PgStore::server_ = nullptr;

TEST_F(PgStore, CreatesTheMissingDatabaseAndStores) {
  StoreUser user(url());
  EXPECT_EQ(user.store().status().state, StoreState::idle);
  const auto batch = make_batch("a", 3);
  ASSERT_EQ(user.store_batch(batch.get()), BatchResult::committed) << batch->batch.error;
  EXPECT_EQ(batch->result_of("a1"), RowResult::stored);
  EXPECT_EQ(row_count(), "3");
  EXPECT_EQ(user.store().status().state, StoreState::up);
}

TEST_F(PgStore, KeepsEveryColumnExactly) {
  StoreUser user(url());
  TestBatch batch;
  Conversion& row = batch.add("conv-1", 4711);
  row.set(Field::offer_id, "o-1");
  row.set(Field::offer_name, "Ünïcode 報酬 \"quoted\" {a,b} \\ NULL");
  row.set(Field::media_id, "");
  row.set(Field::processing_error, "note");
  row.set(Field::raw_data, "{\"b\": 1,\"a\":\"\\u00e9\"}");
  row.conversion_datetime_us = -1;
  ASSERT_TRUE(Decimal::parse("-123456789012345678.123456789012", &*row.usd_sale_amount));
  row.usd_earning.reset();
  ASSERT_EQ(user.store_batch(&batch), BatchResult::committed) << batch.batch.error;
  const StoreRead read = user.read(StoreRead::Kind::conversions);
  ASSERT_TRUE(read.ok) << read.error;
  ASSERT_EQ(read.conversions.size(), 1u);
  const StoredConversion& stored = read.conversions[0];
  EXPECT_EQ(stored.id, 4711);
  EXPECT_EQ(stored.conversion_id, "conv-1");
  EXPECT_EQ(stored.offer_id, "o-1");
  EXPECT_EQ(stored.offer_name, "Ünïcode 報酬 \"quoted\" {a,b} \\ NULL");
  EXPECT_EQ(stored.media_id, "");
  EXPECT_EQ(stored.click_id, std::nullopt);
  EXPECT_EQ(stored.processing_error, "note");
  EXPECT_EQ(stored.raw_data, "{\"b\": 1,\"a\":\"\\u00e9\"}");
  EXPECT_EQ(stored.conversion_datetime_us, -1);
  EXPECT_EQ(stored.usd_sale_amount, "-123456789012345678.123456789012");
  EXPECT_EQ(stored.usd_earning, std::nullopt);
  EXPECT_EQ(stored.received_at_us, kNoonUs);
  EXPECT_FALSE(stored.is_duplicate);
  EXPECT_EQ(value("SELECT created_at = received_at FROM partner_conversions"), "t");
}

TEST_F(PgStore, CountsEveryKindOnceInBothForms) {
  StoreUser user(url());
  for (const bool expected_new : {true, false}) {
    const auto batch = make_batch(expected_new ? "plain" : "once", 5);
    batch->owned[0]->received_at_us = kNoonUs + 60'000'000;
    batch->add_quarantined("not a number");
    batch->batch.duplicate_count = 2;
    batch->batch.duplicates_at_us = kNoonUs + 30'000'000;
    batch->batch.expected_new = expected_new;
    ASSERT_EQ(user.store_batch(batch.get()), BatchResult::committed) << batch->batch.error;
  }
  EXPECT_EQ(counted(), "10 4 2");
  const StoreRead read = user.read(StoreRead::Kind::stats, kNoonUs + 59'000'000);
  ASSERT_TRUE(read.ok) << read.error;
  EXPECT_EQ(read.stats.conversion_count, 10);
  EXPECT_EQ(read.stats.sale_amount.to_string(), "105.00");
  EXPECT_EQ(read.stats.earning.to_string(), "12.50");
  EXPECT_EQ(read.stats.first_conversion_at_us, kNoonUs);
  EXPECT_EQ(read.stats.last_conversion_at_us, kNoonUs + 60'000'000);
  const StoreRead later = user.read(StoreRead::Kind::stats, kNoonUs + 60'000'000);
  EXPECT_EQ(later.stats.conversion_count, 2);
  EXPECT_EQ(value("SELECT string_agg(encode(body, 'hex'), ' ') FROM postback_quarantine"),
            "00ff 00ff");
}

TEST_F(PgStore, PagesFromTheHighestIdDown) {
  StoreUser user(url());
  TestBatch batch;
  for (int i = 1; i <= 25; ++i) batch.add("c" + std::to_string(i), 1000 + i);
  batch.sort();
  ASSERT_EQ(user.store_batch(&batch), BatchResult::committed) << batch.batch.error;
  const StoreRead first = user.read(StoreRead::Kind::conversions, 0, 10);
  ASSERT_EQ(first.conversions.size(), 10u) << first.error;
  EXPECT_EQ(first.conversions.front().id, 1025);
  const StoreRead last = user.read(StoreRead::Kind::conversions, 0, 10, 1006);
  ASSERT_EQ(last.conversions.size(), 5u);
  EXPECT_EQ(last.conversions.back().id, 1001);
}

// Two servers may have made the id in the same microsecond.
TEST_F(PgStore, RowsThatShareAnIdStandOnOnePage) {
  StoreUser user(url());
  TestBatch batch;
  batch.add("old", 1000);
  batch.add("one", 1001);
  batch.add("other", 1001);
  batch.sort();
  ASSERT_EQ(user.store_batch(&batch), BatchResult::committed) << batch.batch.error;
  const StoreRead first = user.read(StoreRead::Kind::conversions, 0, 1);
  ASSERT_EQ(first.conversions.size(), 2u) << first.error;
  const StoreRead last = user.read(StoreRead::Kind::conversions, 0, 1, 1001);
  ASSERT_EQ(last.conversions.size(), 1u) << last.error;
  EXPECT_EQ(last.conversions[0].conversion_id, "old");
}

TEST_F(PgStore, PlainInsertThatMeetsAnOldIdFallsBackAndTellsRowsApart) {
  StoreUser user(url());
  ASSERT_EQ(user.store_batch(make_batch("old", 2).get()), BatchResult::committed);
  const auto mixed = make_batch("old", 4);  // old0 and old1 are there.
  mixed->batch.expected_new = true;
  const auto behind = make_batch("new", 3);  // On its way while the first fails.
  behind->batch.expected_new = true;
  user.submit(mixed.get());
  user.submit(behind.get());
  ASSERT_TRUE(user.wait_done(*mixed) && user.wait_done(*behind));
  EXPECT_EQ(mixed->batch.result, BatchResult::committed) << mixed->batch.error;
  EXPECT_EQ(mixed->result_of("old0"), RowResult::duplicate);
  EXPECT_EQ(mixed->result_of("old3"), RowResult::stored);
  EXPECT_EQ(behind->result_of("new2"), RowResult::stored);
  // In the order of submission, although the first had to be sent twice.
  EXPECT_EQ(user.done[1], &mixed->batch);
  EXPECT_EQ(user.done[2], &behind->batch);
  EXPECT_EQ(row_count(), "7");
  EXPECT_EQ(counted(), "7 2 0");
}

TEST_F(PgStore, RepeatedBatchOfUnknownOutcomeIsStoredAndCountedOnce) {
  StoreUser user(url());
  const auto batch = make_batch("r", 3);
  batch->add_quarantined("x");
  ASSERT_EQ(user.store_batch(batch.get()), BatchResult::committed);
  ASSERT_EQ(user.store_batch(batch.get()), BatchResult::committed);
  // The rows carry our own ids, so these are not duplicates.
  EXPECT_EQ(batch->result_of("r0"), RowResult::stored);
  EXPECT_EQ(row_count(), "3");
  EXPECT_EQ(counted(), "3 0 1");
}

// The planner takes one row in two hundred for the partner's while it knows nothing of the table,
// and then thinks that comparing each row of a batch with all of them is cheap: 20 million
// comparisons took longer than a batch may, so a drain into such a table never ended.
TEST_F(PgStore, ARepeatedBatchIsQuickInALargeTableThatWasNeverAnalyzed) {
  StoreUser user(url());
  ASSERT_EQ(user.store_batch(make_batch("first", 1).get()), BatchResult::committed);
  sql("ALTER TABLE partner_conversions SET (autovacuum_enabled = off)");
  for (int i = 0; i < 20; ++i) {
    const auto batch = make_batch("row" + std::to_string(i) + "-", 1000);
    batch->batch.expected_new = true;
    ASSERT_EQ(user.store_batch(batch.get()), BatchResult::committed) << batch->batch.error;
  }
  StoreUser later(url());  // Plans of its own.
  const auto repeated = make_batch("row7-", 1000);
  ASSERT_EQ(later.store_batch(repeated.get()), BatchResult::committed) << repeated->batch.error;
  EXPECT_EQ(repeated->result_of("row7-999"), RowResult::duplicate);
  EXPECT_EQ(row_count(), "20001");
}

TEST_F(PgStore, ARepeatIsADuplicateEvenWhenAnotherServerMadeTheSameRowId) {
  StoreUser user(url());
  const auto first = make_batch("a", 1);
  ASSERT_EQ(user.store_batch(first.get()), BatchResult::committed);
  const auto second = make_batch("b", 1);
  ASSERT_EQ(user.store_batch(second.get()), BatchResult::committed);
  const auto repeat = make_batch("b", 1);
  repeat->owned[0]->id = first->owned[0]->id;  // Made in the same microsecond elsewhere.
  ASSERT_EQ(user.store_batch(repeat.get()), BatchResult::committed);
  EXPECT_EQ(repeat->result_of("b0"), RowResult::duplicate);
  EXPECT_EQ(counted(), "2 1 0");
}

TEST_F(PgStore, CommitWhoseAnswerWasLostIsFoundAgainByTheRepeat) {
  test::TcpProxy proxy(server_->port());
  StoreUser user("postgresql://postgres@127.0.0.1:" + std::to_string(proxy.port()) + "/" +
                 database_);
  int expected = 0;
  for (const bool expected_new : {true, false}) {
    const std::string prefix = expected_new ? "plain" : "once";
    ASSERT_TRUE(user.store_at_last(make_batch(prefix + "warm", 1).get()));
    proxy.swallow_answers();
    const auto batch = make_batch(prefix, 10);
    batch->add_quarantined("x");
    batch->batch.expected_new = expected_new;
    user.submit(batch.get());
    expected += 11;
    // The server has committed, and only we do not know.
    ASSERT_TRUE(user.run_until([&] { return row_count() == std::to_string(expected); }));
    EXPECT_EQ(batch->batch.result, BatchResult::pending);
    proxy.reset_connections();
    ASSERT_TRUE(user.wait_done(*batch));
    EXPECT_EQ(batch->batch.result, BatchResult::unavailable);
    EXPECT_EQ(batch->result_of(prefix + "0"), RowResult::pending);
    ASSERT_TRUE(user.store_at_last(batch.get()));
    EXPECT_EQ(batch->result_of(prefix + "0"), RowResult::stored);
    EXPECT_EQ(row_count(), std::to_string(expected));
  }
  EXPECT_GT(proxy.swallowed_bytes(), 0);
  EXPECT_EQ(counted(), "22 0 2");
}

TEST_F(PgStore, ValueThatTheDatabaseRefusesRejectsItsBatchOnly) {
  StoreUser user(url());
  for (const bool expected_new : {true, false}) {
    const std::string prefix = expected_new ? "p" : "o";
    const auto poisoned = make_batch(prefix, 2);
    poisoned->owned[1]->set(Field::offer_name, std::string_view("a\0b", 3));
    poisoned->batch.expected_new = expected_new;
    const auto next = make_batch(prefix + "next", 2);
    next->batch.expected_new = expected_new;
    user.run_until([&] { return user.store().can_submit(); });
    if (user.store().status().state != StoreState::up) {
      user.store().open();
      ASSERT_TRUE(user.wait_state(StoreState::up));
    }
    user.submit(poisoned.get());
    user.submit(next.get());
    ASSERT_TRUE(user.wait_done(*poisoned) && user.wait_done(*next));
    EXPECT_EQ(poisoned->batch.result, BatchResult::rejected);
    EXPECT_EQ(next->batch.result, BatchResult::committed) << next->batch.error;
  }
  EXPECT_EQ(row_count(), "4");
  EXPECT_EQ(counted(), "4 0 0");
}

TEST_F(PgStore, ManyStoresMigrateAnEmptyServerAtOnce) {
  std::vector<std::unique_ptr<StoreUser>> users;
  std::vector<std::unique_ptr<TestBatch>> batches;
  for (int i = 0; i < 6; ++i) {
    users.push_back(std::make_unique<StoreUser>(url()));
    batches.push_back(make_batch("m" + std::to_string(i) + "-", 2));
    users.back()->submit(batches.back().get());
  }
  for (size_t i = 0; i < users.size(); ++i) {
    // The others stand still meanwhile, as processes that were scheduled away.
    for (const auto& user : users) user->run_for(milliseconds(10));
  }
  for (size_t i = 0; i < users.size(); ++i) {
    for (int round = 0; round < 2000 && batches[i]->batch.result == BatchResult::pending; ++round) {
      for (const auto& user : users) user->run_for(milliseconds(1));
    }
    EXPECT_TRUE(users[i]->store_at_last(batches[i].get())) << batches[i]->batch.error;
  }
  EXPECT_EQ(row_count(), "12");
  EXPECT_EQ(value("SELECT string_agg(version::text, ',') FROM postback_schema"), "3");
}

TEST_F(PgStore, RestartNeedsNoRightToChangeTables) {
  ASSERT_EQ(StoreUser(url()).store_batch(make_batch("a", 1).get()), BatchResult::committed);
  sql("CREATE ROLE clerk LOGIN; GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public "
      "TO clerk");
  StoreUser user("postgresql://clerk@127.0.0.1:" + std::to_string(server_->port()) + "/" +
                 database_);
  EXPECT_EQ(user.store_batch(make_batch("b", 1).get()), BatchResult::committed);
}

TEST_F(PgStore, RoleWithoutRightsIsToldWhichItNeeds) {
  server_->create_database(database_);
  sql("CREATE ROLE poor LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC");
  const std::string poor_url =
      "postgresql://poor@127.0.0.1:" + std::to_string(server_->port()) + "/" + database_;
  const auto expect_remedy = [&](const std::string& denied) {
    StoreUser user(poor_url);
    const auto batch = make_batch("a", 1);
    EXPECT_EQ(user.store_batch(batch.get()), BatchResult::schema);
    EXPECT_NE(batch->batch.error.find("permission denied for " + denied), std::string::npos)
        << batch->batch.error;
    EXPECT_NE(batch->batch.error.find("grant it CREATE"), std::string::npos) << batch->batch.error;
  };
  expect_remedy("schema public");
  ASSERT_EQ(StoreUser(url()).store_batch(make_batch("b", 1).get()), BatchResult::committed);
  expect_remedy("table postback_schema");
}

TEST_F(PgStore, NewerSchemaIsRefused) {
  ASSERT_EQ(StoreUser(url()).store_batch(make_batch("a", 1).get()), BatchResult::committed);
  sql("UPDATE postback_schema SET version = 99");
  StoreUser user(url());
  const auto batch = make_batch("b", 1);
  EXPECT_EQ(user.store_batch(batch.get()), BatchResult::schema);
  EXPECT_EQ(user.store().status().state, StoreState::schema_wrong);
  EXPECT_NE(batch->batch.error.find("schema version 99"), std::string::npos) << batch->batch.error;
  EXPECT_FALSE(user.store().can_submit());
  EXPECT_EQ(row_count(), "1");
}

TEST_F(PgStore, DroppedOrChangedUniqueIndexIsRefusedUntilRepaired) {
  ASSERT_EQ(StoreUser(url()).store_batch(make_batch("a", 1).get()), BatchResult::committed);
  const std::string right =
      value("SELECT indexdef FROM pg_indexes WHERE indexname = 'partner_conversions_once'");
  sql("DROP INDEX partner_conversions_once");
  for (const char* wrong :
       {"",
        "CREATE INDEX partner_conversions_once ON partner_conversions (conversion_id, "
        "partner_id) WHERE NOT is_duplicate",
        "CREATE UNIQUE INDEX partner_conversions_once ON partner_conversions (conversion_id, id) "
        "WHERE NOT is_duplicate",
        "CREATE UNIQUE INDEX partner_conversions_once ON partner_conversions (conversion_id, "
        "partner_id) WHERE is_duplicate"}) {
    if (*wrong != '\0') sql(wrong);
    StoreUser user(url());
    const auto batch = make_batch("b", 1);
    EXPECT_EQ(user.store_batch(batch.get()), BatchResult::schema) << wrong;
    EXPECT_NE(batch->batch.error.find("CREATE UNIQUE INDEX"), std::string::npos);
    sql("DROP INDEX IF EXISTS partner_conversions_once");
  }
  StoreUser user(url());
  user.store().open();
  ASSERT_TRUE(user.wait_state(StoreState::schema_wrong));
  sql(right);
  EXPECT_EQ(user.store_batch(make_batch("b", 1).get()), BatchResult::committed);
}

TEST_F(PgStore, ChangedColumnIsASchemaMatter) {
  StoreUser user(url());
  ASSERT_EQ(user.store_batch(make_batch("a", 1).get()), BatchResult::committed);
  sql("ALTER TABLE partner_conversions RENAME offer_name TO offer");
  const auto batch = make_batch("b", 1);
  EXPECT_EQ(user.store_batch(batch.get()), BatchResult::schema) << batch->batch.error;
  ASSERT_TRUE(user.wait_state(StoreState::schema_wrong));
  sql("ALTER TABLE partner_conversions RENAME offer TO offer_name");
  EXPECT_EQ(user.store_batch(batch.get()), BatchResult::committed) << batch->batch.error;
}

TEST_F(PgStore, KilledBackendGivesBatchesBackAndTheStoreRecovers) {
  StoreUser user(url());
  ASSERT_EQ(user.store_batch(make_batch("a", 1).get()), BatchResult::committed);
  sql("BEGIN; LOCK TABLE partner_conversions IN EXCLUSIVE MODE; SELECT pg_terminate_backend(pid)"
      " FROM pg_stat_activity WHERE application_name = 'postbackd'");
  std::vector<std::unique_ptr<TestBatch>> batches;
  for (int i = 0; i < 2; ++i) {
    batches.push_back(make_batch("k" + std::to_string(i), 200));
    ASSERT_TRUE(user.store().can_submit());
    user.submit(batches.back().get());
  }
  for (const auto& batch : batches) {
    ASSERT_TRUE(user.wait_done(*batch));
    EXPECT_EQ(batch->batch.result, BatchResult::unavailable);
    EXPECT_FALSE(batch->batch.error.empty());
  }
  const auto start = steady_clock::now();
  for (const auto& batch : batches) EXPECT_TRUE(user.store_at_last(batch.get()));
  EXPECT_LT(steady_clock::now() - start, milliseconds(2000));
  EXPECT_EQ(row_count(), "401");
  EXPECT_EQ(counted(), "401 0 0");
}

TEST_F(PgStore, PausedServerIsGivenUpInTimeAndComesBack) {
  StoreUser user(url());
  ASSERT_EQ(user.store_batch(make_batch("a", 1).get()), BatchResult::committed);
  server_->pause();
  const auto start = steady_clock::now();
  const auto first = make_batch("p", 50);
  const auto second = make_batch("q", 50);
  user.submit(first.get());
  user.submit(second.get());
  ASSERT_TRUE(user.wait_done(*first) && user.wait_done(*second));
  const auto waited = steady_clock::now() - start;
  EXPECT_EQ(first->batch.result, BatchResult::unavailable);
  EXPECT_EQ(second->batch.result, BatchResult::unavailable);
  // The limit counts from the loop's time, which was read at the end of its last wait.
  EXPECT_GE(waited, milliseconds(1400));
  EXPECT_LT(waited, milliseconds(1900));
  EXPECT_FALSE(user.store().can_submit());
  user.run_for(milliseconds(1800));  // Attempts to connect are given up as well.
  EXPECT_EQ(user.store().status().state, StoreState::down);
  server_->resume();
  const auto resumed = steady_clock::now();
  EXPECT_TRUE(user.store_at_last(first.get()));
  EXPECT_LT(steady_clock::now() - resumed, milliseconds(2500));
  EXPECT_TRUE(user.store_at_last(second.get()));
  EXPECT_EQ(row_count(), "101");
  EXPECT_EQ(counted(), "101 0 0");
}

TEST_F(PgStore, StopsAndRestartsOfTheServerLoseNothing) {
  StoreUser user(url());
  int stored = 0;
  for (int round = 0; round < 3; ++round) {
    const auto before = make_batch("b" + std::to_string(round) + "-", 20);
    ASSERT_TRUE(user.store_at_last(before.get()));
    const auto during = make_batch("d" + std::to_string(round) + "-", 20);
    if (user.store().can_submit()) user.submit(during.get());
    if (round == 0) server_->stop();
    if (round == 1) server_->stop_immediate();
    if (round == 2) server_->kill_hard();
    ASSERT_TRUE(user.wait_done(*during));
    ASSERT_TRUE(user.wait_state(StoreState::down));
    const StoreRead read = user.read(StoreRead::Kind::stats);
    EXPECT_FALSE(read.ok);
    server_->start();
    ASSERT_TRUE(user.store_at_last(during.get()));
    stored += 40;
    EXPECT_EQ(row_count(), std::to_string(stored));
    EXPECT_EQ(counted(), std::to_string(stored) + " 0 0");
  }
  EXPECT_TRUE(user.read(StoreRead::Kind::stats).ok);
}

TEST_F(PgStore, TwoStoresWithOverlappingIdsStoreEachOnce) {
  StoreUser one(url());
  StoreUser two(url());
  ASSERT_EQ(one.store_batch(make_batch("warm1", 1).get()), BatchResult::committed);
  ASSERT_EQ(two.store_batch(make_batch("warm2", 1).get()), BatchResult::committed);
  std::vector<std::unique_ptr<TestBatch>> batches;
  int stored = 0;
  for (int round = 0; round < 20; ++round) {
    const std::string prefix = "o" + std::to_string(round) + "-";
    const auto mine = make_batch(prefix, 100);
    const auto yours = make_batch(prefix, 100);
    mine->batch.expected_new = yours->batch.expected_new = round % 2 == 0;
    one.submit(mine.get());
    two.submit(yours.get());
    for (int turn = 0; turn < 5000; ++turn) {
      if (mine->batch.result != BatchResult::pending &&
          yours->batch.result != BatchResult::pending) {
        break;
      }
      one.run_for(milliseconds(1));
      two.run_for(milliseconds(1));
    }
    ASSERT_EQ(mine->batch.result, BatchResult::committed) << mine->batch.error;
    ASSERT_EQ(yours->batch.result, BatchResult::committed) << yours->batch.error;
    for (size_t i = 0; i < 100; ++i) {
      const bool first = mine->batch.conversions[i].result == RowResult::stored;
      const bool second = yours->batch.conversions[i].result == RowResult::stored;
      EXPECT_NE(first, second);
      stored += first ? 1 : 0;
      stored += second ? 1 : 0;
    }
  }
  EXPECT_EQ(stored, 2000);
  EXPECT_EQ(row_count(), "2002");
  EXPECT_EQ(counted(), "2002 2000 0");
}

TEST_F(PgStore, LockHeldByOthersCostsTheBatchNotTheProcess) {
  StoreUser user(url());
  ASSERT_EQ(user.store_batch(make_batch("a", 1).get()), BatchResult::committed);
  PGconn* other = PQconnectdb(url().c_str());
  PQclear(PQexec(other, "BEGIN; LOCK TABLE partner_conversions IN ACCESS EXCLUSIVE MODE"));
  const auto batch = make_batch("b", 1);
  const auto start = steady_clock::now();
  EXPECT_EQ(user.store_batch(batch.get()), BatchResult::unavailable);
  EXPECT_LT(steady_clock::now() - start, milliseconds(1500));
  EXPECT_NE(batch->batch.error.find("lock timeout"), std::string::npos) << batch->batch.error;
  PQfinish(other);
  EXPECT_TRUE(user.store_at_last(batch.get()));
}

TEST_F(PgStore, ReadOnlyServerIsUnavailable) {
  StoreUser user(url());
  ASSERT_EQ(user.store_batch(make_batch("a", 1).get()), BatchResult::committed);
  sql("ALTER DATABASE " + database_ + " SET default_transaction_read_only = on");
  sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = "
      "'postbackd'");
  ASSERT_TRUE(user.wait_state(StoreState::down));
  user.run_for(milliseconds(200));
  EXPECT_EQ(user.store().status().state, StoreState::down);
  EXPECT_NE(user.store().status().error.find("read-only"), std::string::npos)
      << user.store().status().error;
  server_->query("postgres",
                 "ALTER DATABASE " + database_ + " RESET default_transaction_read_only");
  EXPECT_TRUE(user.store_at_last(make_batch("b", 1).get()));
}

TEST_F(PgStore, ACommitWaitsForTheDisksOfServerAndSynchronousStandbysWhateverTheDefault) {
  server_->create_database(database_);
  sql("CREATE TABLE seen (setting text)");
  {
    StoreUser user(url());
    user.store().open();
    ASSERT_TRUE(user.wait_state(StoreState::up));
  }
  sql("CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO seen "
      "VALUES (current_setting('synchronous_commit')); RETURN NULL; END $$;"
      "CREATE TRIGGER note AFTER INSERT ON partner_conversions EXECUTE FUNCTION note()");
  for (const std::string given : {"off", "local", "remote_write", "on", "remote_apply"}) {
    sql("ALTER DATABASE " + database_ + " SET synchronous_commit = " + given);
    StoreUser user(url());
    ASSERT_EQ(user.store_batch(make_batch(given, 1).get()), BatchResult::committed);
  }
  EXPECT_EQ(value("SELECT string_agg(setting, ' ') FROM seen"), "on on on on remote_apply");
}

TEST_F(PgStore, WrongPasswordIsToldWithoutThePassword) {
  server_->query("postgres", "DO $$ BEGIN CREATE ROLE nobody_else LOGIN; END $$");
  StoreUser user("postgresql://no_such_role:s3cr3t-word@127.0.0.1:" +
                 std::to_string(server_->port()) + "/" + database_);
  const auto batch = make_batch("a", 1);
  EXPECT_EQ(user.store_batch(batch.get()), BatchResult::unavailable);
  EXPECT_NE(batch->batch.error.find("no_such_role"), std::string::npos) << batch->batch.error;
  EXPECT_EQ(batch->batch.error.find("s3cr3t-word"), std::string::npos);
  EXPECT_EQ(user.store().status().state, StoreState::down);
}

TEST_F(PgStore, NamesSocketsAndUnreachableHostsAreTriedInOrder) {
  const std::string port = std::to_string(server_->port());
  StoreUser by_name("postgresql://postgres@localhost:" + port + "/" + database_);
  EXPECT_EQ(by_name.store_batch(make_batch("n", 1).get()), BatchResult::committed);
  StoreUser by_socket(server_->socket_url(database_));
  EXPECT_EQ(by_socket.store_batch(make_batch("s", 1).get()), BatchResult::committed);
  StoreUser second("postgresql://postgres@127.0.0.1:1,localhost:" + port + "/" + database_);
  EXPECT_EQ(second.store_batch(make_batch("h", 1).get()), BatchResult::committed);
  StoreUser nowhere("postgresql://postgres@no-such-host.invalid/" + database_);
  const auto batch = make_batch("x", 1);
  EXPECT_EQ(nowhere.store_batch(batch.get()), BatchResult::unavailable);
  EXPECT_FALSE(batch->batch.error.empty());
}

TEST_F(PgStore, UnusedConnectionIsClosedAndOpenedAgain) {
  StoreUser user(url(), [](StoreOptions* options) { options->idle_ms = 150; });
  ASSERT_EQ(user.store_batch(make_batch("a", 1).get()), BatchResult::committed);
  ASSERT_TRUE(user.read(StoreRead::Kind::stats).ok);
  EXPECT_EQ(user.store().status().connections, 2u);
  ASSERT_TRUE(user.wait_state(StoreState::idle));
  ASSERT_TRUE(user.run_until([&] { return user.store().status().connections == 0; }));
  EXPECT_TRUE(user.store().can_submit());
  EXPECT_EQ(user.store_batch(make_batch("b", 1).get()), BatchResult::committed);
}

TEST_F(PgStore, CloseWaitsForBatchesOnTheirWay) {
  StoreUser user(url());
  user.store().open();
  ASSERT_TRUE(user.wait_state(StoreState::up));
  std::vector<std::unique_ptr<TestBatch>> batches;
  for (int i = 0; i < 2; ++i) {
    batches.push_back(make_batch("c" + std::to_string(i), 100));
    user.submit(batches.back().get());
  }
  user.close();
  for (const auto& batch : batches) EXPECT_EQ(batch->batch.result, BatchResult::committed);
  EXPECT_EQ(row_count(), "200");
}

TEST_F(PgStore, CloseDoesNotWaitForAServerThatHangs) {
  StoreUser user(url());
  ASSERT_EQ(user.store_batch(make_batch("a", 1).get()), BatchResult::committed);
  server_->pause();
  const auto batch = make_batch("b", 1);
  user.submit(batch.get());
  user.close();
  EXPECT_EQ(batch->batch.result, BatchResult::unavailable);
  server_->resume();
}

}  // namespace
}  // namespace postback::store
