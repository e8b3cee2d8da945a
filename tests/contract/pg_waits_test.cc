// How long the PostgreSQL store waits: for a statement, for a connection, for a host.
#include <gtest/gtest.h>
#include <libpq-fe.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pg_fixture.h"

namespace postback::store {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using test::PostgresServer;

class PgWaits : public testing::Test {
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
    database_ = "waits_" + std::to_string(++count);
  }

  std::string url() const { return server_->url(database_); }
  std::string value(const std::string& sql) const { return server_->value(database_, sql); }
  void sql(const std::string& text) const { server_->query(database_, text); }

  static PostgresServer* server_;
  std::string database_;
};

PostgresServer* PgWaits::server_ = nullptr;

// The server itself must give up: a statement whose client has gone away would hold its locks.
TEST_F(PgWaits, TheServerEndsAStatementAndALockInTheTimeThatABatchHas) {
  server_->create_database(database_);
  sql("CREATE TABLE seen (name text, setting text)");
  StoreUser user(url(), [](StoreOptions* options) { options->batch_ms = 900; });
  user.store().open();
  ASSERT_TRUE(user.wait_state(StoreState::up));
  sql("CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO seen "
      "SELECT name, setting FROM pg_settings WHERE name IN ('statement_timeout', 'lock_timeout', "
      "'idle_in_transaction_session_timeout', 'default_transaction_isolation', 'TimeZone', "
      "'enable_seqscan'); RETURN NULL; END $$;"
      "CREATE TRIGGER note AFTER INSERT ON partner_conversions EXECUTE FUNCTION note()");
  ASSERT_EQ(user.store_batch(make_batch("a", 1).get()), BatchResult::committed);
  EXPECT_EQ(value("SELECT string_agg(name || '=' || setting, ' ' ORDER BY name) FROM seen"),
            "TimeZone=UTC default_transaction_isolation=read committed enable_seqscan=off "
            "idle_in_transaction_session_timeout=900 lock_timeout=600 statement_timeout=900");
}

TEST_F(PgWaits, ABatchDoesNotWaitForAConnectionThatDoesNotCome) {
  // Whoever migrates holds this lock; another server's migration may take half a minute.
  server_->create_database(database_);
  PGconn* other = PQconnectdb(url().c_str());
  PQclear(PQexec(other, "BEGIN; SELECT pg_advisory_xact_lock(8101817619853501291)"));
  StoreUser user(url(), [](StoreOptions* options) {
    options->batch_ms = 300;
    options->connect_ms = 700;
  });
  const auto batch = make_batch("b", 1);
  const auto start = steady_clock::now();
  EXPECT_EQ(user.store_batch(batch.get()), BatchResult::unavailable);
  EXPECT_GE(steady_clock::now() - start, milliseconds(900));
  EXPECT_NE(batch->batch.error.find("waited too long for the connection"), std::string::npos)
      << batch->batch.error;
  PQfinish(other);
  EXPECT_TRUE(user.store_at_last(batch.get()));
}

// libpq goes to the next host at a refusal only. One that takes the connection and is silent (a
// machine that hangs) must not be asked first for ever.
TEST_F(PgWaits, ASilentHostIsNotTheFirstAgain) {
  const int silent = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(bind(silent, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(silent, 16), 0);
  ASSERT_EQ(getsockname(silent, reinterpret_cast<sockaddr*>(&address), &size), 0);
  StoreUser user("postgresql://postgres@127.0.0.1:" + std::to_string(ntohs(address.sin_port)) +
                     ",127.0.0.1:" + std::to_string(server_->port()) + "/" + database_,
                 [](StoreOptions* options) { options->connect_ms = 300; });
  EXPECT_TRUE(user.store_at_last(make_batch("a", 1).get()));
  EXPECT_EQ(value("SELECT count(*) FROM partner_conversions"), "1");
  close(silent);
}

}  // namespace
}  // namespace postback::store
