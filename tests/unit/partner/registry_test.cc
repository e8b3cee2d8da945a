#include "partner/registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "base/log.h"
#include "base/time.h"
#include "control_fixture.h"
#include "io/listener.h"
#include "partner/partner_cache.h"
#include "partner/table_builder.h"
#include "postgres_server.h"
#include "zone_folder.h"

namespace postback::partner {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;
using Table = std::shared_ptr<const PartnerTable>;

constexpr auto kSeenWithin = std::chrono::seconds(2);  // What is promised to operators.
// For what depends on a database that starts or stops on a busy machine.
constexpr auto kLong = std::chrono::seconds(20);

// Takes the tables on the registry's thread and lets the test wait for one.
class Tables {
 public:
  Registry::OnTable receiver() {
    return [this](Table table) {
      const std::lock_guard lock(mutex_);
      last_ = std::move(table);
      arrived_.notify_all();
    };
  }
  Table last() {
    const std::lock_guard lock(mutex_);
    return last_;
  }
  // The first table from `version` on, or nullptr when none comes within the time.
  Table wait_for_version(uint64_t version, std::chrono::seconds within = kSeenWithin) {
    std::unique_lock lock(mutex_);
    const bool come = arrived_.wait_for(
        lock, within, [&] { return last_ != nullptr && last_->version() >= version; });
    return come ? last_ : nullptr;
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  Table last_;
};

template <typename Condition>
bool wait_until(Condition condition, std::chrono::seconds within = kLong) {
  const auto end = std::chrono::steady_clock::now() + within;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return true;
}

class RegistryTest : public ControlFixture {
 protected:
  base::Settings settings() const {
    base::Settings settings;
    settings.database_url = home_.control_url;
    settings.data_dir = home_.data_dir;
    return settings;
  }
  Tables tables_;
};

TEST_F(RegistryTest, CreatesTheControlDatabaseAndHandsOutATableAtOnce) {
  Registry registry(settings(), tables_.receiver());
  expect_ok(registry.start());
  ASSERT_NE(tables_.last(), nullptr);
  EXPECT_THAT(tables_.last()->entries(), SizeIs(0));
  EXPECT_TRUE(registry.status().up);
  EXPECT_TRUE(registry.status().loaded);
  EXPECT_EQ(registry.status().kind, "sqlite");
  EXPECT_THAT(load(connect(SqlMode::read).get()).partners, SizeIs(0));
}

TEST_F(RegistryTest, SeesChangesOfOthersWithinTwoSeconds) {
  std::unique_ptr<SqlClient> other = shipped();
  Registry registry(settings(), tables_.receiver());
  expect_ok(registry.start());
  const Table one = tables_.last();
  ASSERT_NE(one, nullptr);
  EXPECT_THAT(one->entries(), SizeIs(2));

  run(other.get(), "UPDATE partners SET is_active = 0 WHERE partner_code = 'rector'");
  const Table two = tables_.wait_for_version(2);
  ASSERT_NE(two, nullptr);
  EXPECT_FALSE(two->find("/rector/event")->partner.is_active);
  EXPECT_EQ(two->find("/involve/event"), one->find("/involve/event"));

  run(other.get(), "DELETE FROM partners WHERE partner_code = 'rector'");
  const Table three = tables_.wait_for_version(3);
  ASSERT_NE(three, nullptr);
  EXPECT_EQ(three->find("/rector/event"), nullptr);
}

TEST_F(RegistryTest, WrongRowByHandKeepsTheVersionBefore) {
  std::unique_ptr<SqlClient> other = shipped();
  Registry registry(settings(), tables_.receiver());
  expect_ok(registry.start());
  run(other.get(),
      "UPDATE partners SET parameter_mapping = '{' WHERE id = 1; "
      "UPDATE partners SET partner_name = 'Changed' WHERE id = 2");
  const Table two = tables_.wait_for_version(2);
  ASSERT_NE(two, nullptr);
  EXPECT_EQ(two->find("/rector/event")->partner.partner_name, "Changed");
  ASSERT_NE(two->find("/involve/event"), nullptr);
  EXPECT_THAT(two->find("/involve/event")->partner.parameter_mapping, SizeIs(8));
}

TEST_F(RegistryTest, ATimeZoneFileThatCannotBeReadIsItsPartnersErrorUntilItCan) {
  conversion::ZoneFolder zones;
  zones.write("Asia/Taipei", "damaged");
  std::unique_ptr<SqlClient> other = shipped();
  run(other.get(), "UPDATE partners SET timezone = 'Asia/Taipei' WHERE id = 1");
  Registry registry(settings(), tables_.receiver());
  expect_ok(registry.start());
  const Table one = tables_.last();
  ASSERT_NE(one, nullptr);
  EXPECT_EQ(one->find("/involve/event"), nullptr);
  EXPECT_NE(one->find("/rector/event"), nullptr) << "the others are served";
  zones.write("Asia/Taipei", conversion::zone_bytes("/usr/share/zoneinfo/Asia/Taipei"));
  const Table two = tables_.wait_for_version(2, kLong);
  ASSERT_NE(two, nullptr);
  EXPECT_NE(two->find("/involve/event"), nullptr);
  // A partner that is served keeps what was read, whatever becomes of the file.
  zones.write("Asia/Taipei", "damaged");
  run(other.get(), "UPDATE partners SET partner_name = 'Changed' WHERE id = 2");
  const Table three = tables_.wait_for_version(3);
  ASSERT_NE(three, nullptr);
  EXPECT_EQ(three->find("/involve/event"), two->find("/involve/event"));
}

TEST_F(RegistryTest, DatabaseThatVanishesKeepsTheTableAndIsSeenAgain) {
  shipped();
  Registry registry(settings(), tables_.receiver());
  expect_ok(registry.start());
  const std::string file = folder_ + "/data/control.db";
  std::filesystem::rename(file, folder_ + "/away.db");
  EXPECT_TRUE(wait_until([&] { return !registry.status().up; }));
  EXPECT_THAT(registry.status().error, HasSubstr("control.db"));
  EXPECT_TRUE(registry.status().loaded);
  EXPECT_THAT(tables_.last()->entries(), SizeIs(2));
  EXPECT_FALSE(std::filesystem::exists(file)) << "an empty database would remove all partners";
  std::filesystem::rename(folder_ + "/away.db", file);
  EXPECT_TRUE(wait_until([&] { return registry.status().up; }));
  EXPECT_EQ(tables_.last()->version(), 1u);
}

TEST_F(RegistryTest, DatabaseThatIsAwayAtStartIsNoErrorButAWrongUrlIs) {
  base::Settings away = settings();
  away.database_url = "postgresql://u:s3cret@127.0.0.1:1/none";
  {
    Registry registry(away, tables_.receiver());
    expect_ok(registry.start());
    EXPECT_FALSE(registry.status().up);
    EXPECT_FALSE(registry.status().loaded);
    EXPECT_EQ(registry.status().kind, "postgresql");
    EXPECT_THAT(registry.status().error, HasSubstr("check that the server runs"));
    EXPECT_THAT(registry.status().error, Not(HasSubstr("s3cret")));
  }
  EXPECT_EQ(tables_.last(), nullptr);
  away.database_url = "postgresql://h/db?nonsense=1";
  Registry registry(away, tables_.receiver());
  EXPECT_THAT(registry.start().message(), HasSubstr("not understood by libpq"));
}

TEST_F(RegistryTest, ReloadLooksAtOnceAndChangesNothingWhenNothingChanged) {
  shipped();
  Registry registry(settings(), tables_.receiver());
  expect_ok(registry.start());
  registry.reload();
  std::unique_ptr<SqlClient> other = connect();
  run(other.get(), "UPDATE partners SET lanes = 2 WHERE id = 1");
  registry.reload();
  const Table two = tables_.wait_for_version(2);
  ASSERT_NE(two, nullptr);
  EXPECT_EQ(two->version(), 2u);
}

TEST_F(RegistryTest, StartsWithTheCacheWhileTheDatabaseCannotBeRead) {
  shipped();
  const std::string file = folder_ + "/data/control.db";
  { expect_ok(Registry(settings(), tables_.receiver()).start()); }
  EXPECT_TRUE(std::filesystem::exists(folder_ + "/data/partners.cache"));
  std::filesystem::rename(file, folder_ + "/away.db");
  std::filesystem::create_directory(file);  // A missing one would be made.
  Tables tables;
  Registry registry(settings(), tables.receiver());
  expect_ok(registry.start());
  const Table cached = tables.last();
  ASSERT_NE(cached, nullptr);
  EXPECT_EQ(cached->source(), TableSource::cache);
  EXPECT_THAT(cached->entries(), SizeIs(2));
  EXPECT_TRUE(registry.status().loaded);
  EXPECT_FALSE(registry.status().up);
  EXPECT_THAT(registry.status().error, HasSubstr("control.db"));
  const int64_t age_us = base::system_clock().wall_us() - registry.status().cached_as_of_us;
  EXPECT_TRUE(age_us >= 0 && age_us < 60'000'000) << age_us;

  std::filesystem::remove(file);
  std::filesystem::rename(folder_ + "/away.db", file);
  const Table own = tables.wait_for_version(2, kLong);
  ASSERT_NE(own, nullptr);
  EXPECT_EQ(own->source(), TableSource::control_database);
  EXPECT_EQ(own->entries(), cached->entries()) << "the lanes may stay as they are";
  EXPECT_TRUE(wait_until([&] { return registry.status().up; }));
  EXPECT_EQ(registry.status().cached_as_of_us, 0);
}

TEST_F(RegistryTest, CacheOfAnotherControlDatabaseIsNotUsed) {
  shipped();
  { expect_ok(Registry(settings(), tables_.receiver()).start()); }
  base::Settings other = settings();
  other.database_url = "postgresql://u@127.0.0.1:1/none";
  Tables tables;
  Registry registry(other, tables.receiver());
  expect_ok(registry.start());
  EXPECT_FALSE(registry.status().loaded);
  EXPECT_EQ(tables.last(), nullptr);
}

TEST_F(RegistryTest, ADatabaseThatHangsDoesNotKeepTheCacheWaiting) {
  // Connections to it wait in the kernel's queue for ever.
  const int hung = io::listen_tcp("127.0.0.1", 0, false).take();
  base::Settings away = settings();
  away.database_url =
      "postgresql://u@127.0.0.1:" + std::to_string(io::bound_port(hung)) + "/control";
  std::unique_ptr<SqlClient> client = shipped();
  DatabaseHome home = home_;
  home.control_url = away.database_url;
  TableChange change = next_table(nullptr, load(client.get()));
  expect_ok(PartnerCache(home, base::masked_url(away.database_url)).keep(change.table));
  const auto started = std::chrono::steady_clock::now();
  {
    Registry registry(away, tables_.receiver());
    expect_ok(registry.start());
    EXPECT_LT(std::chrono::steady_clock::now() - started, std::chrono::milliseconds(2500));
    ASSERT_NE(tables_.last(), nullptr);
    EXPECT_EQ(tables_.last()->source(), TableSource::cache);
    EXPECT_FALSE(registry.status().up);
    EXPECT_THAT(registry.status().error, HasSubstr("not answered"));
    EXPECT_GT(registry.status().cached_as_of_us, 0);
  }
  close(hung);
}

class PostgresRegistryTest : public RegistryTest {
 protected:
  static void SetUpTestSuite() {
    if (test::PostgresServer::available()) server_ = std::make_unique<test::PostgresServer>();
  }
  static void TearDownTestSuite() { server_.reset(); }
  void SetUp() override {
    if (server_ == nullptr) GTEST_SKIP() << "PostgreSQL is not installed";
    const std::string name =
        std::string("control_") + ::testing::UnitTest::GetInstance()->current_test_info()->name();
    home_.control_url = server_->url(name.substr(0, 60));
  }
  static std::unique_ptr<test::PostgresServer> server_;
};
std::unique_ptr<test::PostgresServer> PostgresRegistryTest::server_;

TEST_F(PostgresRegistryTest, MissingDatabaseIsCreatedWhenAskedFor) {
  EXPECT_FALSE(database_exists(home_.control_url).value());
  EXPECT_FALSE(SqlClient::open(home_.control_url, SqlMode::write).ok());
  EXPECT_NE(connect(SqlMode::create), nullptr);
  EXPECT_TRUE(database_exists(home_.control_url).value());
}

TEST_F(PostgresRegistryTest, RowsAreReadBackAsTheyWereInserted) {
  std::unique_ptr<SqlClient> client = shipped();
  Partners loaded = load(client.get());
  ASSERT_THAT(loaded.partners, SizeIs(2));
  EXPECT_EQ(loaded.partners[0].effective_database_url, server_->url("involve_asia_db"));
  EXPECT_GT(loaded.partners[0].created_at_us, 1'700'000'000'000'000);
  EXPECT_EQ(loaded.partners[0].parameter_mapping, shipped_partners()[0].parameter_mapping);
  Partner changed = loaded.partners[1];
  changed.is_active = false;
  changed.lanes = 3;
  changed.partner_name = "中文 'x'";
  expect_ok(update_partner(client.get(), changed));
  Partner again = load(client.get()).partners[1];
  EXPECT_GT(again.updated_at_us, changed.updated_at_us);
  again.updated_at_us = changed.updated_at_us;
  EXPECT_EQ(again, changed);
  const base::Status status = insert_partner(client.get(), shipped_partners()[0]);
  EXPECT_THAT(status.message(), HasSubstr("partners_partner_code_key"));
  EXPECT_THAT(status.message(), Not(HasSubstr("\n")));
}

TEST_F(PostgresRegistryTest, VersionOneIsBroughtUpToDateWithItsIds) {
  std::unique_ptr<SqlClient> client = shipped();
  run(client.get(),
      "DROP TABLE postback_registry; DROP TABLE partner_ids; ALTER TABLE partners DROP COLUMN "
      "dedupe_retention_days; ALTER TABLE partners DROP COLUMN memory_epoch;"
      "UPDATE postback_control_schema SET version = 1");
  expect_ok(create_control_schema(client.get()));
  EXPECT_TRUE(load(client.get()).partners.at(0).owns_unmarked);
  expect_ok(delete_partner(client.get(), 2));
  Partner other = shipped_partners()[1];
  other.partner_code = "other";
  other.endpoint_path = "/other/event";
  expect_ok(insert_partner(client.get(), other));
  expect_ok(insert_partner(client.get(), shipped_partners()[1]));
  const Partners loaded = load(client.get());
  EXPECT_EQ(loaded.partners.at(1).partner_code, "rector");
  EXPECT_EQ(loaded.partners.at(1).id, 2);
  EXPECT_EQ(loaded.partners.at(2).id, 3);
}

TEST_F(PostgresRegistryTest, RoleWithoutRightsIsToldWhichItNeeds) {
  server_->query("postgres", "CREATE ROLE poor LOGIN");
  run(connect().get(), "REVOKE CREATE ON SCHEMA public FROM PUBLIC");
  std::string url = home_.control_url;
  url.replace(url.find("postgres@"), 9, "poor@");
  base::Result<std::unique_ptr<SqlClient>> client = SqlClient::open(url, SqlMode::write);
  ASSERT_TRUE(client.ok()) << client.status().message();
  EXPECT_THAT(create_control_schema(client.value().get()).message(),
              AllOf(HasSubstr("permission denied for schema public"), HasSubstr("OWNER TO"),
                    HasSubstr("grant it CREATE")));
}

TEST_F(PostgresRegistryTest, FullServerIsToldFromAWrongUrl) {
  connect();
  server_->query("postgres", "CREATE ROLE single LOGIN CONNECTION LIMIT 0");
  std::string url = home_.control_url;
  url.replace(url.find("postgres@"), 9, "single@");
  EXPECT_THAT(SqlClient::open(url, SqlMode::write).status().message(),
              AllOf(HasSubstr("too many connections"), HasSubstr("raise max_connections"),
                    Not(HasSubstr("password"))));
}

TEST_F(PostgresRegistryTest, SchemaMayBeCreatedByManyAtOnce) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([this] {
      std::unique_ptr<SqlClient> client = connect();
      ASSERT_NE(client, nullptr);
      expect_ok(create_control_schema(client.get()));
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(load(connect().get()).partners, SizeIs(0));
}

TEST_F(PostgresRegistryTest, SeesChangesOfOthersWithinTwoSeconds) {
  std::unique_ptr<SqlClient> other = shipped();
  Registry registry(settings(), tables_.receiver());
  expect_ok(registry.start());
  const Table one = tables_.last();
  ASSERT_NE(one, nullptr);
  run(other.get(), "UPDATE partners SET lanes = 2 WHERE partner_code = 'rector'");
  const Table two = tables_.wait_for_version(2);
  ASSERT_NE(two, nullptr);
  EXPECT_EQ(two->find("/rector/event")->partner.lanes, 2);
  EXPECT_EQ(two->find("/involve/event"), one->find("/involve/event"));
  run(other.get(), "DELETE FROM partners");
  const Table three = tables_.wait_for_version(3);
  ASSERT_NE(three, nullptr);
  EXPECT_THAT(three->entries(), SizeIs(0));
}

TEST_F(PostgresRegistryTest, CacheServesUntilTheServerIsBackWithItsChanges) {
  std::unique_ptr<SqlClient> other = shipped();
  { expect_ok(Registry(settings(), tables_.receiver()).start()); }
  const Table before = tables_.last();
  // Nobody but the database knows of this one.
  run(other.get(), "UPDATE partners SET lanes = 2 WHERE partner_code = 'rector'");
  server_->stop();
  Tables tables;
  Registry registry(settings(), tables.receiver());
  expect_ok(registry.start());
  const Table cached = tables.last();
  ASSERT_NE(cached, nullptr);
  EXPECT_EQ(cached->source(), TableSource::cache);
  ASSERT_THAT(cached->entries(), SizeIs(2));
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(cached->entries()[i]->partner, before->entries()[i]->partner);
  }
  server_->start();
  const Table own = tables.wait_for_version(2, kLong);
  ASSERT_NE(own, nullptr);
  EXPECT_EQ(own->source(), TableSource::control_database);
  EXPECT_EQ(own->find("/rector/event")->partner.lanes, 2);
}

TEST_F(PostgresRegistryTest, ServerThatStopsOrHangsKeepsTheTable) {
  shipped();
  Registry registry(settings(), tables_.receiver());
  expect_ok(registry.start());
  server_->stop_immediate();
  EXPECT_TRUE(wait_until([&] { return !registry.status().up; }));
  EXPECT_THAT(tables_.last()->entries(), SizeIs(2));
  server_->start();
  EXPECT_TRUE(wait_until([&] { return registry.status().up; }));
  server_->pause();
  EXPECT_TRUE(wait_until([&] { return !registry.status().up; }));
  EXPECT_THAT(registry.status().error, HasSubstr("no answer within"));
  server_->resume();
  EXPECT_TRUE(wait_until([&] { return registry.status().up; }));
  EXPECT_EQ(tables_.last()->version(), 1u);
}

}  // namespace
}  // namespace postback::partner
