#include "store/pg_url.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace postback::store {
namespace {

class PgUrl : public testing::Test {
 protected:
  void SetUp() override {
    // The defaults of whoever runs the test must not decide it.
    for (const char* name : {"PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGUSER", "PGPASSWORD",
                             "PGSERVICE", "PGAPPNAME"}) {
      unsetenv(name);
    }
  }
  static PgTarget parse(const std::string& url) {
    auto target = parse_pg_url(url);
    EXPECT_TRUE(target.ok()) << target.status().message();
    return target.ok() ? target.take() : PgTarget{};
  }
  static std::string error(const std::string& url) { return parse_pg_url(url).status().message(); }
  static std::string parameter(const PgParameters& parameters, const std::string& name) {
    for (const auto& [key, value] : parameters) {
      if (key == name) return value;
    }
    return "(none)";
  }
};

TEST_F(PgUrl, TakesHostPortUserPasswordAndDatabase) {
  const PgTarget target = parse("postgresql://us%40er:p%2Fw@db.example:6543/shop?sslmode=require");
  ASSERT_EQ(target.hosts.size(), 1u);
  EXPECT_EQ(target.hosts[0].host, "db.example");
  EXPECT_EQ(target.hosts[0].port, "6543");
  EXPECT_TRUE(target.hosts[0].needs_resolving());
  EXPECT_EQ(target.database, "shop");
  EXPECT_EQ(target.password, "p/w");
  EXPECT_EQ(parameter(target.parameters, "user"), "us@er");
  EXPECT_EQ(parameter(target.parameters, "sslmode"), "require");
}

TEST_F(PgUrl, AddsOurDefaultsButNotOverTheUrl) {
  const PgTarget plain = parse("postgres://h/d");
  EXPECT_EQ(parameter(plain.parameters, "application_name"), "postbackd");
  EXPECT_EQ(parameter(plain.parameters, "keepalives_idle"), "5");
  EXPECT_EQ(parameter(plain.parameters, "target_session_attrs"), "read-write");
  EXPECT_EQ(parameter(plain.parameters, "client_encoding"), "UTF8");
  const PgTarget chosen = parse("postgres://h/d?application_name=mine&keepalives_idle=60");
  EXPECT_EQ(parameter(chosen.parameters, "application_name"), "mine");
  EXPECT_EQ(parameter(chosen.parameters, "keepalives_idle"), "60");
}

TEST_F(PgUrl, ResolvesOnlyNames) {
  EXPECT_FALSE(parse("postgresql://127.0.0.1/d").hosts[0].needs_resolving());
  EXPECT_FALSE(parse("postgresql://[::1]/d").hosts[0].needs_resolving());
  EXPECT_FALSE(parse("postgresql:///d?host=/cloudsql/p:r:i").hosts[0].needs_resolving());
  EXPECT_FALSE(parse("postgresql:///d").hosts[0].needs_resolving());
  EXPECT_FALSE(parse("postgresql://n/d?hostaddr=10.0.0.1").hosts[0].needs_resolving());
  EXPECT_TRUE(parse("postgresql://localhost/d").hosts[0].needs_resolving());
}

TEST_F(PgUrl, KeepsTheOrderOfSeveralHosts) {
  PgTarget target = parse("postgresql://a:1,10.0.0.2:2,c:3/d");
  ASSERT_EQ(target.hosts.size(), 3u);
  target.hosts[0].hostaddr = "10.0.0.1";
  target.hosts[2].hostaddr = "10.0.0.3";
  const PgParameters all = target.connect_parameters(target.hosts, "other");
  EXPECT_EQ(parameter(all, "host"), "a,10.0.0.2,c");
  EXPECT_EQ(parameter(all, "hostaddr"), "10.0.0.1,,10.0.0.3");
  EXPECT_EQ(parameter(all, "port"), "1,2,3");
  EXPECT_EQ(parameter(all, "dbname"), "other");
}

TEST_F(PgUrl, RefusesWithoutQuotingTheUrl) {
  for (const char* url : {"postgresql://u:s3cret@h:port%zz/d", "postgresql://u:s3cret@[::1/d",
                          "postgresql://u:s3cret@h/d?nonsense=1", "postgresql://u:s3cret@h/",
                          "postgresql://u:s3cret@h/d?service=x", "mysql://u:s3cret@h/d"}) {
    EXPECT_NE(error(url), "") << url;
    EXPECT_EQ(error(url).find("s3cret"), std::string::npos) << error(url);
  }
  EXPECT_NE(error("postgresql://a,b/d?port=1,2,3"), "");
}

TEST_F(PgUrl, TakesDefaultsFromTheEnvironment) {
  setenv("PGPASSWORD", "from-env", 1);
  setenv("PGHOST", "env-host", 1);
  setenv("PGHOSTADDR", "10.9.9.9", 1);
  EXPECT_EQ(parse("postgresql:///d").hosts[0].host, "env-host");
  EXPECT_EQ(parse("postgresql:///d").password, "from-env");
  // The environment's address belongs to the environment's host.
  EXPECT_EQ(parse("postgresql://mine/d").hosts[0].hostaddr, "");
  for (const char* name : {"PGPASSWORD", "PGHOST", "PGHOSTADDR"}) unsetenv(name);
}

TEST_F(PgUrl, CleansErrorTexts) {
  const PgTarget target = parse("postgresql://u:s3cret@h/d");
  EXPECT_EQ(target.clean_error("connection failed: FATAL:  28P01: no\nLOCATION:  x, auth.c:1\n"),
            "connection failed: FATAL:  28P01: no");
  EXPECT_EQ(target.clean_error("a s3cret b s3cret\n\tc\n"), "a *** b ***; c");
}

TEST_F(PgUrl, PasswordWithLineEndsIsMaskedToo) {
  const PgTarget target = parse("postgresql://u@h/d?password=%0a2%0a%20s3cret");
  EXPECT_EQ(target.clean_error("FATAL: no \n2\n s3cret.\nso"), "FATAL: no ***.; so");
}

}  // namespace
}  // namespace postback::store
