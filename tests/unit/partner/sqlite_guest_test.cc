// A guest of a SQLite file in WAL mode: what keeps it from meeting the server's checkpoints.
#include <sqlite3.h>

#include "control_fixture.h"

namespace postback::partner {
namespace {

class SqliteGuest : public ControlFixture {
 protected:
  SqliteGuest() {
    run(connect().get(), "PRAGMA journal_mode=WAL; CREATE TABLE t (x)");
    CHECK(sqlite3_open(path().c_str(), &server_) == SQLITE_OK);
    write("INSERT INTO t VALUES (1)");
  }
  ~SqliteGuest() override { sqlite3_close(server_); }

  std::string path() const { return folder_ + "/data/control.db"; }
  void write(const char* sql) {
    ASSERT_EQ(sqlite3_exec(server_, sql, nullptr, nullptr, nullptr), SQLITE_OK)
        << sqlite3_errmsg(server_);
  }
  int checkpoint() {
    return sqlite3_wal_checkpoint_v2(server_, "main", SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
  }
  std::unique_ptr<SqlClient> guest() {
    auto client = SqlClient::open("sqlite:" + path(), SqlMode::guest, {1000, 100});
    CHECK(client.ok());
    return client.take();
  }

  sqlite3* server_ = nullptr;
};

TEST_F(SqliteGuest, NobodyCheckpointsWhileItsTransactionRuns) {
  const auto client = guest();
  EXPECT_EQ(checkpoint(), SQLITE_OK);
  expect_ok(client->begin());
  EXPECT_EQ(checkpoint(), SQLITE_BUSY);
  expect_ok(client->run("INSERT INTO t VALUES (2)"));
  EXPECT_EQ(checkpoint(), SQLITE_BUSY);
  expect_ok(client->commit());
  EXPECT_EQ(checkpoint(), SQLITE_OK);
  expect_ok(client->begin());
  EXPECT_EQ(checkpoint(), SQLITE_BUSY);
  client->rollback();
  EXPECT_EQ(checkpoint(), SQLITE_OK);
}

TEST_F(SqliteGuest, ReleasesTheLockWhenItIsClosedOrDoesNotGetTheWriteLock) {
  auto client = guest();
  expect_ok(client->begin());
  client.reset();
  EXPECT_EQ(checkpoint(), SQLITE_OK);
  client = guest();
  write("BEGIN IMMEDIATE");
  EXPECT_FALSE(client->begin().ok());
  write("COMMIT");
  EXPECT_EQ(checkpoint(), SQLITE_OK);
}

TEST_F(SqliteGuest, TwoGuestsTakeTurns) {
  const auto first = guest();
  const auto second = guest();
  expect_ok(first->begin());
  const base::Status status = second->begin();
  EXPECT_NE(status.message().find("try again"), std::string::npos) << status.message();
  expect_ok(first->commit());
  expect_ok(second->begin());
  expect_ok(second->commit());
}

TEST_F(SqliteGuest, LeavesTheLogWhereItIsWhenItClosesLast) {
  auto client = guest();
  sqlite3_db_config(server_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  sqlite3_close(server_);
  server_ = nullptr;
  expect_ok(client->begin());
  expect_ok(client->run("INSERT INTO t VALUES (2)"));
  expect_ok(client->commit());
  client.reset();
  EXPECT_GT(std::filesystem::file_size(path() + "-wal"), 0U);
  EXPECT_EQ(connect()->query("SELECT count(*) FROM t").value().rows[0][0], "2");
}

TEST_F(SqliteGuest, KnowsTheLengthOfTheLogAndWritesItBack) {
  const auto client = guest();
  EXPECT_EQ(client->log_pages(), 0);
  expect_ok(client->begin());
  expect_ok(client->run("INSERT INTO t VALUES (2)"));
  expect_ok(client->commit());
  const int64_t pages = client->log_pages();
  EXPECT_GT(pages, 1) << "the server's are in it too";
  expect_ok(client->checkpoint());
  EXPECT_EQ(client->log_pages(), 0);
  write("INSERT INTO t VALUES (3)");  // Begins the log anew.
  expect_ok(client->begin());
  expect_ok(client->run("INSERT INTO t VALUES (4)"));
  expect_ok(client->commit());
  EXPECT_LE(client->log_pages(), pages);
  EXPECT_EQ(connect()->query("SELECT count(*) FROM t").value().rows[0][0], "4");
}

TEST_F(SqliteGuest, WritesTheLogBackOnlyWhileNobodyCanCommit) {
  const auto client = guest();
  expect_ok(client->begin());
  expect_ok(client->run("INSERT INTO t VALUES (2)"));
  expect_ok(client->commit());
  write("BEGIN IMMEDIATE; INSERT INTO t VALUES (3)");
  EXPECT_FALSE(client->checkpoint().ok());
  EXPECT_GT(client->log_pages(), 0);
  write("COMMIT");
  expect_ok(client->checkpoint());
}

TEST_F(SqliteGuest, NoticesThatTheServerTurnedTheFileToWalMode) {
  write("PRAGMA journal_mode=DELETE");
  const auto client = guest();
  expect_ok(client->begin());
  expect_ok(client->run("INSERT INTO t VALUES (2)"));
  expect_ok(client->commit());
  write("PRAGMA journal_mode=WAL; INSERT INTO t VALUES (3)");
  expect_ok(client->begin());
  EXPECT_EQ(checkpoint(), SQLITE_BUSY);
  expect_ok(client->commit());
  EXPECT_EQ(checkpoint(), SQLITE_OK);
}

}  // namespace
}  // namespace postback::partner
