// The PostgreSQL store behind PgBouncer in transaction mode, where each transaction may run on
// another connection to the server, and that one has served somebody else before.
#include <gtest/gtest.h>
#include <libpq-fe.h>

#include <algorithm>

#include "pg_bouncer.h"
#include "pg_fixture.h"

namespace postback::store {
namespace {

using test::PgBouncer;
using test::PostgresServer;

// Each row of a table notes the settings under which its transaction commits.
constexpr const char* kNoteSettings =
    "CREATE TABLE seen (settings text);"
    "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO seen"
    " SELECT string_agg(name || '=' || setting, ' ' ORDER BY name) FROM pg_settings WHERE name IN"
    " ('synchronous_commit', 'statement_timeout', 'lock_timeout', 'TimeZone', 'enable_seqscan',"
    " 'idle_in_transaction_session_timeout'); RETURN NULL; END $$;"
    "CREATE CONSTRAINT TRIGGER note AFTER INSERT ON partner_conversions DEFERRABLE INITIALLY"
    " DEFERRED FOR EACH ROW EXECUTE FUNCTION note();"
    "CREATE CONSTRAINT TRIGGER note AFTER INSERT ON postback_quarantine DEFERRABLE INITIALLY"
    " DEFERRED FOR EACH ROW EXECUTE FUNCTION note()";

class PgPooler : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!PostgresServer::available() || !PgBouncer::available()) return;
    server_ = new PostgresServer;
    pooler_ = new PgBouncer(server_->port(), 2);
  }
  static void TearDownTestSuite() {
    delete pooler_;
    delete server_;
    pooler_ = nullptr;
    server_ = nullptr;
  }
  void SetUp() override {
    if (server_ == nullptr) GTEST_SKIP() << "PostgreSQL or PgBouncer is not installed";
    static int count = 0;
    database_ = "pooled_" + std::to_string(++count);
    server_->create_database(database_);
  }

  std::string value(const std::string& sql) const { return server_->value(database_, sql); }
  void sql(const std::string& text) const { server_->query(database_, text); }

  static PostgresServer* server_;
  static PgBouncer* pooler_;
  std::string database_;
};

PostgresServer* PgPooler::server_ = nullptr;
PgBouncer* PgPooler::pooler_ = nullptr;

TEST_F(PgPooler, EveryTransactionCommitsDurablyAndWithinItsLimitsWhateverTheServersDefaults) {
  sql("ALTER DATABASE " + database_ + " SET synchronous_commit = off");
  sql("ALTER DATABASE " + database_ + " SET \"TimeZone\" = 'Asia/Kolkata'");
  StoreUser one(pooler_->url(database_));
  StoreUser two(pooler_->url(database_));
  ASSERT_EQ(one.store_batch(make_batch("first", 1).get()), BatchResult::committed);
  sql(kNoteSettings);
  for (int i = 0; i < 12; ++i) {
    // Both are at it at the same time, and take turns on the connections.
    const std::string number = std::to_string(i);
    const auto by_one = make_batch("one" + number + "-", 3);
    by_one->add_quarantined("not a number");
    by_one->batch.duplicate_count = 1;
    by_one->batch.expected_new = i % 2 == 0;
    const auto by_two = make_batch("two" + number + "-", 2);
    by_two->batch.expected_new = true;
    if (i > 0) by_two->add("one0-0");  // A repeat of the other's.
    by_two->sort();
    ASSERT_TRUE(one.run_until([&] { return one.store().can_submit(); }));
    ASSERT_TRUE(two.run_until([&] { return two.store().can_submit(); }));
    one.submit(by_one.get());
    two.submit(by_two.get());
    ASSERT_TRUE(one.wait_done(*by_one) && two.wait_done(*by_two));
    ASSERT_EQ(by_one->batch.result, BatchResult::committed) << by_one->batch.error;
    ASSERT_EQ(by_two->batch.result, BatchResult::committed) << by_two->batch.error;
    EXPECT_EQ(by_one->result_of("one" + number + "-2"), RowResult::stored);
    if (i > 0) {
      EXPECT_EQ(by_two->result_of("one0-0"), RowResult::duplicate);
    }
    ASSERT_EQ(one.read(StoreRead::Kind::conversions).conversions.size(),
              static_cast<size_t>(std::min(10, 1 + 5 * (i + 1))));
  }
  EXPECT_EQ(value("SELECT string_agg(DISTINCT settings, ' and ') FROM seen"),
            "TimeZone=UTC enable_seqscan=off idle_in_transaction_session_timeout=1500"
            " lock_timeout=1000 statement_timeout=1500 synchronous_commit=on");
  EXPECT_EQ(value("SELECT count(*) FROM seen"), std::to_string(12 * 6));
  const StoreRead stats = two.read(StoreRead::Kind::stats);
  ASSERT_TRUE(stats.ok) << stats.error;
  EXPECT_EQ(stats.stats.conversion_count, 61);
  EXPECT_EQ(stats.stats.duplicate_count, 23);
  EXPECT_EQ(stats.stats.quarantined_count, 12);
}

TEST_F(PgPooler, OtherClientsOfThePoolerKeepTheirSettings) {
  StoreUser user(pooler_->url(database_));
  ASSERT_EQ(user.store_batch(make_batch("a", 1).get()), BatchResult::committed);
  ASSERT_TRUE(user.read(StoreRead::Kind::stats).ok);
  // Of both connections to the server: two transactions at the same time.
  PGconn* first = PQconnectdb(pooler_->url(database_).c_str());
  PGconn* second = PQconnectdb(pooler_->url(database_).c_str());
  for (PGconn* connection : {first, second}) PQclear(PQexec(connection, "BEGIN"));
  for (PGconn* connection : {first, second}) {
    PGresult* result = PQexec(connection,
                              "SELECT current_setting('enable_seqscan') || ' ' ||"
                              " current_setting('statement_timeout')");
    EXPECT_STREQ(PQgetvalue(result, 0, 0), "on 0") << PQerrorMessage(connection);
    PQclear(result);
  }
  PQfinish(first);
  PQfinish(second);
}

// As behind a pooler that passes on the number of the server's process.
TEST_F(PgPooler, AStatementThatIsGoneIsNotPreparedAgain) {
  StoreUser user(server_->url(database_));
  ASSERT_EQ(user.store_batch(make_batch("a", 1).get()), BatchResult::committed);
  sql("CREATE FUNCTION forget() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
      " EXECUTE 'DEALLOCATE ALL'; RETURN NULL; END $$;"
      "CREATE TRIGGER forget AFTER INSERT ON partner_conversions EXECUTE FUNCTION forget()");
  sql(kNoteSettings);
  bool failed = false;
  for (int i = 0; i < 6; ++i) {
    const auto batch = make_batch("b" + std::to_string(i) + "-", 2);
    if (user.store_batch(batch.get()) != BatchResult::committed) {
      EXPECT_EQ(batch->batch.result, BatchResult::unavailable) << batch->batch.error;
      EXPECT_FALSE(failed) << batch->batch.error;
      failed = true;
      EXPECT_EQ(user.store_batch(batch.get()), BatchResult::committed) << batch->batch.error;
    }
  }
  EXPECT_TRUE(failed);
  EXPECT_EQ(value("SELECT count(*) FROM partner_conversions"), "13");
  EXPECT_EQ(value("SELECT count(*) FROM seen WHERE settings LIKE '%synchronous_commit=on%'"), "12");
}

}  // namespace
}  // namespace postback::store
