// The PostgreSQL store and a database that is dropped and restored under it.
#include <gtest/gtest.h>

#include "pg_fixture.h"

namespace postback::store {
namespace {

using std::chrono::milliseconds;
using test::PostgresServer;

class PgIdentity : public testing::Test {
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
    database_ = "identity_" + std::to_string(++count);
  }
  std::string url() const { return server_->url(database_); }
  void admin(const std::string& sql) const { server_->query("postgres", sql); }
  std::string count_of(const std::string& from) const {
    return server_->value(database_, "SELECT count(*) FROM " + from);
  }

  static PostgresServer* server_;
  std::string database_;
};

PostgresServer* PgIdentity::server_ = nullptr;

TEST_F(PgIdentity, WaitsForARestoreInEveryStateOfItAndCountsTheChangeOnce) {
  StoreUser user(url());
  ASSERT_EQ(user.store_batch(make_batch("a", 1).get()), BatchResult::committed);
  const auto tables = [this] {
    return server_->value(database_, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'");
  };
  const auto waits_with = [&](const std::string& words) {
    return user.run_until(
        [&] { return user.store().status().error.find(words) != std::string::npos; });
  };
  admin("DROP DATABASE " + database_ + " WITH (FORCE)");
  EXPECT_TRUE(waits_with("does not exist any more")) << user.store().status().error;
  EXPECT_EQ(user.store().status().identity_changes, 1u);
  user.run_for(milliseconds(300));  // Some attempts more.
  EXPECT_EQ(server_->value("postgres",
                           "SELECT count(*) FROM pg_database WHERE datname = '" + database_ + "'"),
            "0");
  admin("CREATE DATABASE " + database_);
  EXPECT_TRUE(waits_with("no table postback_schema")) << user.store().status().error;
  user.run_for(milliseconds(300));
  EXPECT_EQ(tables(), "0");
  // A restore makes the tables first.
  server_->query(database_, "CREATE TABLE postback_schema (version integer, incarnation text)");
  EXPECT_TRUE(waits_with("empty table postback_schema")) << user.store().status().error;
  EXPECT_EQ(tables(), "1");
  EXPECT_EQ(user.store().status().identity_changes, 1u);
  // It may be made anew after all, when an operator says so.
  server_->query(database_, "DROP TABLE postback_schema");
  user.allow_anew();
  EXPECT_EQ(user.store_batch(make_batch("b", 1).get()), BatchResult::committed);
  EXPECT_EQ(count_of("partner_conversions"), "1");
}

}  // namespace
}  // namespace postback::store
