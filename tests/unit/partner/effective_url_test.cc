#include "partner/effective_url.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postback::partner {
namespace {

using ::testing::StartsWith;

std::string derived(const std::string& control, const std::string& data_dir,
                    const std::string& name, const std::string& url = "") {
  Partner partner;
  partner.database_name = name;
  partner.database_url = url;
  base::Result<std::string> result = effective_database_url({control, data_dir}, partner);
  return result.ok() ? result.take() : result.status().message();
}

TEST(EffectiveUrl, OfSqliteIsAFileInTheDataFolder) {
  EXPECT_EQ(derived("sqlite:data/control.db", "data", "rector_db"), "sqlite:data/rector_db.db");
  EXPECT_EQ(derived("sqlite:/x/control.db", "/srv/data/", "a"), "sqlite:/srv/data/a.db");
}

TEST(EffectiveUrl, OfPostgresIsTheSameServerAndOptions) {
  EXPECT_EQ(derived("postgresql://u:p@h:5432/control?sslmode=require", "d", "rector_db"),
            "postgresql://u:p@h:5432/rector_db?sslmode=require");
  EXPECT_EQ(derived("postgres://h", "d", "x"), "postgres://h/x");
  EXPECT_EQ(derived("postgresql://h1:1,h2:2/c", "d", "x"), "postgresql://h1:1,h2:2/x");
  EXPECT_EQ(derived("postgresql:///c?host=/cloudsql/p:r:i&user=u", "d", "x"),
            "postgresql:///x?host=/cloudsql/p:r:i&user=u");
  EXPECT_EQ(derived("postgresql://?host=/tmp", "d", "x"), "postgresql:///x?host=/tmp");
  EXPECT_EQ(derived("postgresql://h/c?dbname=other&sslmode=disable", "d", "x"),
            "postgresql://h/x?sslmode=disable");
  EXPECT_EQ(derived("postgresql://h/c?dbname=other", "d", "x"), "postgresql://h/x");
}

TEST(EffectiveUrl, DatabaseNameIsPercentEncoded) {
  EXPECT_EQ(with_database("postgresql://h/c", "a b/?&%é"),
            "postgresql://h/a%20b%2F%3F%26%25%C3%A9");
}

TEST(EffectiveUrl, GivenUrlWins) {
  EXPECT_EQ(derived("sqlite:data/control.db", "data", "x", "postgresql://h/y"), "postgresql://h/y");
  EXPECT_EQ(derived("postgresql://h/c", "data", "x", "sqlite:y.db"), "sqlite:y.db");
}

TEST(EffectiveUrl, TheControlDatabasesOwnFileIsRefused) {
  EXPECT_THAT(derived("sqlite:data/control.db", "./data", "control"),
              StartsWith("database_name: "));
  EXPECT_THAT(derived("sqlite:data/control.db", "d", "x", "sqlite:data/../data/control.db"),
              StartsWith("database_url: "));
}

}  // namespace
}  // namespace postback::partner
