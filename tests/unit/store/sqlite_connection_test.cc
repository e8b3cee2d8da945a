// What a connection asks of SQLite: the settings on which "committed" means "on the disk".
#include "store/sqlite_connection.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace postback::store {
namespace {

class SqliteConnectionTest : public ::testing::Test {
 protected:
  SqliteConnectionTest() {
    char name[] = "/tmp/postback-connection-XXXXXX";
    EXPECT_NE(mkdtemp(name), nullptr);
    folder_ = name;
  }
  ~SqliteConnectionTest() override { std::filesystem::remove_all(folder_); }
  std::string path() const { return folder_ + "/p.db"; }
  static std::string value(SqliteConnection* connection, const char* sql) {
    SqliteStatement statement;
    EXPECT_EQ(statement.prepare(connection, sql), SqliteResult::ok) << connection->error();
    bool row = false;
    EXPECT_EQ(statement.step(&row), SqliteResult::ok) << connection->error();
    return row ? std::string(statement.text(0)) : "no row";
  }

  std::string folder_;
};

TEST_F(SqliteConnectionTest, AWriterSyncsEachCommitAndNeverCheckpointsByItself) {
  SqliteConnection writer;
  ASSERT_EQ(writer.open(path(), SqliteConnection::Role::writer), SqliteResult::ok);
  EXPECT_EQ(value(&writer, "PRAGMA journal_mode"), "wal");
  EXPECT_EQ(value(&writer, "PRAGMA synchronous"), "2") << "FULL; 1 loses commits in a power cut";
  EXPECT_EQ(value(&writer, "PRAGMA secure_delete"), "0");
  EXPECT_EQ(value(&writer, "PRAGMA journal_size_limit"), "33554432");
  ASSERT_EQ(writer.run("CREATE TABLE t (x)"), SqliteResult::ok);
  // Far beyond the 1000 pages at which SQLite would checkpoint.
  ASSERT_EQ(writer.run("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 2000) "
                       "INSERT INTO t SELECT randomblob(4000) FROM n"),
            SqliteResult::ok);
  EXPECT_GT(writer.wal_pages(), 2000);
  EXPECT_LT(std::filesystem::file_size(path()), 100'000u);
  EXPECT_EQ(writer.checkpoint(), SqliteResult::ok);
  EXPECT_GT(std::filesystem::file_size(path()), 4'000'000u);
}

TEST_F(SqliteConnectionTest, AReaderCannotWrite) {
  SqliteConnection writer;
  ASSERT_EQ(writer.open(path(), SqliteConnection::Role::writer), SqliteResult::ok);
  ASSERT_EQ(writer.run("CREATE TABLE t (x)"), SqliteResult::ok);
  SqliteConnection reader;
  ASSERT_EQ(reader.open(path(), SqliteConnection::Role::reader), SqliteResult::ok);
  EXPECT_NE(reader.run("INSERT INTO t VALUES (1)"), SqliteResult::ok);
  EXPECT_EQ(value(&reader, "SELECT count(*) FROM t"), "0");
}

}  // namespace
}  // namespace postback::store
