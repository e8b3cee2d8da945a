#include "partner/postgres_hosts.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <memory>

#include "partner/control_watch.h"
#include "partner/sql_client.h"
#include "postgres_server.h"

namespace postback::partner {
namespace {

using std::chrono::steady_clock;
using test::PostgresServer;
using ::testing::HasSubstr;

TEST(PostgresHosts, StandInTheOrderOfTheUrl) {
  const auto hosts = postgres_hosts("postgresql://u:p@one:1,two:2,[::1]/db").hosts;
  ASSERT_EQ(hosts.size(), 3u);
  EXPECT_EQ(hosts[0].host + hosts[0].port, "one1");
  EXPECT_EQ(hosts[1].host + hosts[1].port, "two2");
  EXPECT_EQ(hosts[2].host, "::1");
  const auto addressed = postgres_hosts("postgresql:///db?host=a,b&hostaddr=127.0.0.1,::1&port=7");
  ASSERT_EQ(addressed.hosts.size(), 2u);
  EXPECT_EQ(addressed.hosts[1].address + addressed.hosts[1].port, "::17");
  EXPECT_FALSE(addressed.has_wish);
  EXPECT_TRUE(postgres_hosts("postgresql://h/db?target_session_attrs=any").has_wish);
}

// A port of 127.0.0.1 that takes connections and never says anything, like a machine that hangs.
class SilentHost {
 public:
  SilentHost() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(fd_, 8), 0);
    getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
  }
  ~SilentHost() { close(fd_); }
  int port() const { return port_; }

 private:
  int fd_;
  int port_ = 0;
};

class SeveralHosts : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!PostgresServer::available()) return;
    primary_ = std::make_unique<PostgresServer>();
    standby_ = PostgresServer::standby_of(*primary_);
  }
  static void TearDownTestSuite() {
    standby_.reset();
    primary_.reset();
  }
  void SetUp() override {
    if (primary_ == nullptr) GTEST_SKIP() << "PostgreSQL is not installed";
  }
  static std::string url(std::initializer_list<int> ports, const std::string& rest = "") {
    std::string hosts;
    for (const int port : ports) {
      hosts += (hosts.empty() ? "" : ",") + ("127.0.0.1:" + std::to_string(port));
    }
    return "postgresql://postgres@" + hosts + "/postgres" + rest;
  }
  // The port of the server that a client got, or the error.
  static std::string reached(const std::string& url, SqlMode mode, const SqlLimits& limits = {}) {
    auto client = SqlClient::open(url, mode, limits);
    if (!client.ok()) return client.status().message();
    return client.value()->query("SELECT inet_server_port()").value().rows[0][0].value_or("");
  }

  static std::unique_ptr<PostgresServer> primary_;
  static std::unique_ptr<PostgresServer> standby_;
};

std::unique_ptr<PostgresServer> SeveralHosts::primary_;
std::unique_ptr<PostgresServer> SeveralHosts::standby_;

TEST_F(SeveralHosts, ThePrimaryIsReachedWhereverItStandsInTheUrl) {
  const std::string primary = std::to_string(primary_->port());
  for (const SqlMode mode : {SqlMode::read, SqlMode::write, SqlMode::create, SqlMode::guest}) {
    EXPECT_EQ(reached(url({standby_->port(), primary_->port()}), mode), primary);
    EXPECT_EQ(reached(url({primary_->port(), standby_->port()}), mode), primary);
  }
}

TEST_F(SeveralHosts, AStandbyIsReadWhenThereIsNoPrimaryAndNeverWritten) {
  const std::string only_standby = url({1, standby_->port()});
  EXPECT_EQ(reached(only_standby, SqlMode::read), std::to_string(standby_->port()));
  EXPECT_TRUE(SqlClient::open(only_standby, SqlMode::read).value()->is_behind());
  EXPECT_FALSE(SqlClient::open(url({primary_->port()}), SqlMode::read).value()->is_behind());
  for (const SqlMode mode : {SqlMode::write, SqlMode::create, SqlMode::guest}) {
    EXPECT_THAT(reached(only_standby, mode), HasSubstr("name the primary in the URL as well"));
  }
}

TEST_F(SeveralHosts, TheUrlsOwnWishCounts) {
  EXPECT_EQ(reached(url({standby_->port(), primary_->port()}, "?target_session_attrs=any"),
                    SqlMode::read),
            std::to_string(standby_->port()));
}

TEST_F(SeveralHosts, ASilentHostLeavesTimeForTheNext) {
  const SilentHost silent;
  const auto begun = steady_clock::now();
  const SqlLimits limits{.connect_ms = 1000, .statement_ms = 3000};
  EXPECT_EQ(reached(url({silent.port(), primary_->port()}), SqlMode::write, limits),
            std::to_string(primary_->port()));
  EXPECT_GE(steady_clock::now() - begun, std::chrono::milliseconds(400));
  EXPECT_THAT(reached(url({silent.port(), silent.port()}), SqlMode::write, limits),
              HasSubstr("no answer within 500 ms"));
}

TEST_F(SeveralHosts, TheRegistryReadsAStandbyUntilThePrimaryIsBack) {
  const std::string both = url({standby_->port(), primary_->port()});
  const auto standby_has = [](const std::string& rows) {
    const auto deadline = steady_clock::now() + std::chrono::seconds(20);
    while (standby_->value("postgres", "SELECT count(*) FROM partners") != rows) {
      if (steady_clock::now() > deadline) return false;
    }
    return true;
  };
  ControlWatch first({both, "data"});
  ASSERT_TRUE(first.look(true).ok());  // Makes the schema, on the primary.
  const std::string add =
      "INSERT INTO partners (id, partner_name, partner_code, endpoint_path, database_name)"
      " VALUES ";
  primary_->query("postgres", add + "(901, 'a', 'a', '/a', 'a')");
  ASSERT_TRUE(standby_has("1"));
  primary_->stop();
  ControlWatch watch({both, "data"});
  auto seen = watch.look(false);
  ASSERT_TRUE(seen.ok()) << seen.status().message();
  EXPECT_EQ(seen.value()->partners.size(), 1u);
  seen = watch.look(false);  // Nothing new.
  ASSERT_TRUE(seen.ok()) << seen.status().message();
  EXPECT_FALSE(seen.value().has_value());
  standby_->query("postgres", "SELECT pg_wal_replay_pause()");
  primary_->start();
  primary_->query("postgres", add + "(902, 'b', 'b', '/b', 'b')");
  seen = watch.look(false);
  standby_->query("postgres", "SELECT pg_wal_replay_resume()");
  ASSERT_TRUE(seen.ok()) << seen.status().message();
  ASSERT_TRUE(seen.value().has_value());
  EXPECT_EQ(seen.value()->partners.size(), 2u);
}

}  // namespace
}  // namespace postback::partner
