#include "partner/partner_rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "base/time.h"
#include "base/uuid.h"
#include "control_fixture.h"
#include "partner/partner_ids.h"

namespace postback::partner {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::testing::StartsWith;

using SqlClientTest = ControlFixture;
using ControlSchema = ControlFixture;
using PartnerRows = ControlFixture;

TEST_F(SqlClientTest, QueriesWithParametersInAnyOrder) {
  std::unique_ptr<SqlClient> client = connect();
  base::Result<SqlResult> result =
      client->query("SELECT $2, $1, $3 IS NULL, $1", {"one", "two'; --", std::nullopt});
  ASSERT_TRUE(result.ok()) << result.status().message();
  const SqlRow expected = {"two'; --", "one", "1", "one"};
  EXPECT_EQ(result.value().rows, std::vector<SqlRow>{expected});
}

TEST_F(SqlClientTest, MissingDatabaseIsMadeOnlyWhenAskedFor) {
  const base::Status status = SqlClient::open(home_.control_url, SqlMode::write).status();
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(status.message(), HasSubstr("check that the file and its folder exist"));
  EXPECT_FALSE(database_exists(home_.control_url).value());
  EXPECT_NE(connect(SqlMode::create), nullptr);
  EXPECT_TRUE(database_exists(home_.control_url).value());
}

TEST_F(SqlClientTest, ReaderCannotWrite) {
  run(connect().get(), "CREATE TABLE t (x)");
  std::unique_ptr<SqlClient> reader = connect(SqlMode::read);
  EXPECT_FALSE(reader->run("INSERT INTO t VALUES (1)").ok());
}

TEST_F(SqlClientTest, FileThatIsNoDatabaseIsAnErrorWithARemedy) {
  std::filesystem::create_directories(folder_ + "/data");
  FILE* file = std::fopen((folder_ + "/data/control.db").c_str(), "w");
  for (int i = 0; i < 1000; ++i) std::fputs("not a database", file);
  std::fclose(file);
  EXPECT_THAT(SqlClient::open(home_.control_url, SqlMode::create).status().message(),
              HasSubstr("restore "));
}

TEST_F(SqlClientTest, LockOfAnotherIsWaitedForWithinTheLimit) {
  std::unique_ptr<SqlClient> one = connect();
  SqlTransaction transaction(one.get());
  expect_ok(transaction.begin());
  SqlLimits limits;
  limits.statement_ms = 50;
  base::Result<std::unique_ptr<SqlClient>> two =
      SqlClient::open(home_.control_url, SqlMode::write, limits);
  ASSERT_TRUE(two.ok());
  EXPECT_THAT(two.value()->begin().message(), HasSubstr("another process holds its lock"));
}

TEST_F(SqlClientTest, TransactionThatIsNotCommittedIsRolledBack) {
  std::unique_ptr<SqlClient> client = connect();
  run(client.get(), "CREATE TABLE t (x)");
  {
    SqlTransaction transaction(client.get());
    expect_ok(transaction.begin());
    run(client.get(), "INSERT INTO t VALUES (1)");
  }
  EXPECT_THAT(client->query("SELECT x FROM t").value().rows, SizeIs(0));
}

TEST_F(SqlClientTest, FileThatWasReplacedIsNoticed) {
  std::unique_ptr<SqlClient> client = connect();
  EXPECT_FALSE(client->broken());
  std::filesystem::rename(folder_ + "/data/control.db", folder_ + "/data/moved.db");
  EXPECT_TRUE(client->broken());
  connect();
  EXPECT_TRUE(client->broken());
}

TEST_F(ControlSchema, MayBeCreatedByManyAtOnce) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([this] { expect_ok(create_control_schema(connect().get())); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(load(connect().get()).partners, SizeIs(0));
}

TEST_F(ControlSchema, NewerVersionIsRefused) {
  std::unique_ptr<SqlClient> client = shipped();
  run(client.get(), "UPDATE postback_control_schema SET version = 99");
  EXPECT_THAT(create_control_schema(client.get()).message(), HasSubstr("use the newer program"));
}

// Version 1 had no table of ids.
TEST_F(ControlSchema, VersionOneIsBroughtUpToDateWithItsIds) {
  std::unique_ptr<SqlClient> client = shipped();
  run(client.get(),
      "DROP TABLE postback_registry; DROP TABLE partner_ids; ALTER TABLE partners DROP COLUMN "
      "dedupe_retention_days; ALTER TABLE partners DROP COLUMN memory_epoch;"
      "UPDATE postback_control_schema SET version = 1");
  EXPECT_EQ(load(client.get()).partners.at(0).dedupe_retention_days, 400);  // Not there to be read.
  expect_ok(create_control_schema(client.get()));
  EXPECT_EQ(client->query("SELECT version FROM postback_control_schema").value().rows,
            std::vector<SqlRow>{{"4"}});
  EXPECT_EQ(load(client.get()).partners.at(0).dedupe_retention_days, 400);
  run(client.get(), "DELETE FROM partners WHERE partner_code = 'rector'");
  expect_ok(insert_partner(client.get(), shipped_partners()[1]));
  EXPECT_EQ(load(client.get()).partners.at(1).id, 2);
}

TEST_F(ControlSchema, EachControlDatabaseHasAnIdThatItKeeps) {
  std::unique_ptr<SqlClient> client = shipped();
  const std::string registry_id = load(client.get()).partners.at(0).registry_id;
  base::UuidBytes bytes;
  EXPECT_TRUE(base::parse_uuid(registry_id, &bytes)) << registry_id;
  expect_ok(create_control_schema(client.get()));
  EXPECT_EQ(load(client.get()).partners.at(1).registry_id, registry_id);
  EXPECT_FALSE(load(client.get()).partners.at(1).owns_unmarked);
  // Made anew.
  client.reset();
  std::filesystem::remove(folder_ + "/data/control.db");
  client = shipped();
  EXPECT_NE(load(client.get()).partners.at(0).registry_id, registry_id);
}

TEST_F(ControlSchema, OneThatIsOlderThanIdsGetsOneAndOwnsWhatIsUnmarked) {
  std::unique_ptr<SqlClient> client = shipped();
  run(client.get(),
      "DROP TABLE postback_registry; ALTER TABLE partners DROP COLUMN memory_epoch;"
      "UPDATE postback_control_schema SET version = 3");
  EXPECT_EQ(load(client.get()).partners.at(0).registry_id, "");
  EXPECT_TRUE(load(client.get()).partners.at(0).owns_unmarked);
  expect_ok(create_control_schema(client.get()));
  EXPECT_NE(load(client.get()).partners.at(0).registry_id, "");
  EXPECT_TRUE(load(client.get()).partners.at(0).owns_unmarked);
}

TEST_F(ControlSchema, WithoutItsIdIsRefused) {
  std::unique_ptr<SqlClient> client = shipped();
  for (const char* sql :
       {"UPDATE postback_registry SET registry_id = 'x'", "DELETE FROM postback_registry"}) {
    run(client.get(), sql);
    EXPECT_THAT(load_partners(client.get(), home_).status().message(),
                HasSubstr("the control database has no id"));
  }
}

TEST_F(PartnerRows, FormerCodesStayKnownUntilAnotherPartnerHasThem) {
  std::unique_ptr<SqlClient> client = shipped();
  EXPECT_TRUE(load(client.get()).partners[1].former_codes.empty());
  Partner renamed = load(client.get()).partners[1];
  renamed.partner_code = "renamed";
  renamed.endpoint_path = "/renamed/event";
  expect_ok(update_partner(client.get(), renamed));
  EXPECT_EQ(load(client.get()).partners[1].former_codes, std::vector<std::string>{"rector"});
  expect_ok(insert_partner(client.get(), shipped_partners()[1]));
  EXPECT_TRUE(load(client.get()).partners[1].former_codes.empty());
}

TEST_F(PartnerRows, WhatIsInsertedIsReadBack) {
  std::unique_ptr<SqlClient> client = shipped();
  const Partners loaded = load(client.get());
  ASSERT_THAT(loaded.partners, SizeIs(2));
  EXPECT_THAT(loaded.bad, SizeIs(0));
  Partner partner = loaded.partners[0];
  EXPECT_EQ(partner.id, 1);
  EXPECT_EQ(partner.effective_database_url, "sqlite:" + folder_ + "/data/involve_asia_db.db");
  const int64_t age_us = base::system_clock().wall_us() - partner.created_at_us;
  EXPECT_GE(age_us, -1000) << "rounded to milliseconds";
  EXPECT_LT(age_us, 60'000'000);
  partner.id = 0;
  partner.created_at_us = partner.updated_at_us = 0;
  partner.effective_database_url.clear();
  partner.registry_id.clear();  // It has these from its control database.
  partner.owns_unmarked = true;
  EXPECT_EQ(partner, shipped_partners()[0]);
}

TEST_F(PartnerRows, UpdateWritesEveryFieldAndItsTime) {
  std::unique_ptr<SqlClient> client = shipped();
  run(client.get(), "UPDATE partners SET updated_at = '2020-01-01T00:00:00.123456Z'");
  Partner partner = load(client.get()).partners[1];
  EXPECT_EQ(partner.updated_at_us, 1577836800'123000);
  partner.partner_name = "Rektor 'x'";
  partner.is_active = false;
  partner.lanes = 4;
  partner.parameter_mapping = {{"z", "y"}, {"a", "b"}};
  partner.on_invalid = OnInvalid::accept;
  expect_ok(update_partner(client.get(), partner));
  Partner again = load(client.get()).partners[1];
  EXPECT_GT(again.updated_at_us, partner.updated_at_us);
  again.updated_at_us = partner.updated_at_us;
  EXPECT_EQ(again, partner);
}

TEST_F(PartnerRows, RowInsertedByHandHasTheDefaults) {
  std::unique_ptr<SqlClient> client = shipped();
  run(client.get(),
      "INSERT INTO partners (partner_code, partner_name, endpoint_path, database_name) "
      "VALUES ('hand', 'Hand', '/hand', 'hand_db')");
  const Partner partner = load(client.get()).partners.at(2);
  EXPECT_EQ(partner.timezone, "UTC");
  EXPECT_EQ(partner.max_daily_requests, 100000);
  EXPECT_EQ(partner.cloud_run_region, "asia-southeast1");
  EXPECT_TRUE(partner.is_active);
  EXPECT_TRUE(partner.parameter_mapping.empty());
  EXPECT_GT(partner.created_at_us, 0);
}

TEST_F(PartnerRows, IdOfARemovedPartnerComesBackWithItsCodeOnly) {
  std::unique_ptr<SqlClient> client = shipped();
  expect_ok(delete_partner(client.get(), 2));
  Partner other = shipped_partners()[1];
  other.partner_code = "other";
  other.endpoint_path = "/other/event";
  expect_ok(insert_partner(client.get(), other));
  EXPECT_EQ(load(client.get()).partners[1].id, 3);
  expect_ok(insert_partner(client.get(), shipped_partners()[1]));
  const Partners loaded = load(client.get());
  EXPECT_EQ(loaded.partners[1].id, 2);
  EXPECT_EQ(loaded.partners[1].partner_code, "rector");
}

TEST_F(PartnerRows, IdOfAPartnerDeletedBySqlComesBack) {
  std::unique_ptr<SqlClient> client = shipped();
  run(client.get(),
      "INSERT INTO partners (id, partner_code, partner_name, endpoint_path, database_name) "
      "VALUES (70, 'hand', 'Hand', '/hand', 'hand_db')");
  Partner hand = load(client.get()).partners.at(2);
  hand.lanes = 2;
  expect_ok(update_partner(client.get(), hand));
  run(client.get(), "DELETE FROM partners");
  expect_ok(insert_partner(client.get(), hand));
  expect_ok(insert_partner(client.get(), shipped_partners()[1]));
  const Partners loaded = load(client.get());
  EXPECT_EQ(loaded.partners.at(0).id, 2);
  EXPECT_EQ(loaded.partners.at(1).id, 70);
}

TEST_F(PartnerRows, IdStaysWithAPartnerThatGotAnotherCode) {
  std::unique_ptr<SqlClient> client = shipped();
  Partner renamed = load(client.get()).partners[1];
  renamed.partner_code = "renamed";
  renamed.endpoint_path = "/renamed/event";
  expect_ok(update_partner(client.get(), renamed));
  EXPECT_TRUE(was_known(client.get(), "rector").value());
  expect_ok(insert_partner(client.get(), shipped_partners()[1]));
  const Partners loaded = load(client.get());
  EXPECT_EQ(loaded.partners.at(1).partner_code, "renamed");
  EXPECT_EQ(loaded.partners.at(2).id, 3) << "its id is another partner's";
}

TEST_F(PartnerRows, WrongRowIsNamedAndDoesNotStopTheOthers) {
  std::unique_ptr<SqlClient> client = shipped();
  const auto error_after = [&](const std::string& sql) {
    SqlTransaction transaction(client.get());
    expect_ok(transaction.begin());
    run(client.get(), sql);
    const Partners loaded = load(client.get());
    EXPECT_THAT(loaded.partners, SizeIs(1));
    if (loaded.bad.size() != 1) return std::string("not one bad row");
    EXPECT_EQ(loaded.bad[0].id, 1);
    return loaded.bad[0].error;
  };
  const std::string set = "UPDATE partners SET ";
  const std::string where = " WHERE id = 1";
  EXPECT_THAT(error_after(set + "parameter_mapping = '{\"a\":'" + where),
              StartsWith("parameter_mapping: not JSON"));
  EXPECT_THAT(error_after(set + "timezone = 'Mars'" + where), StartsWith("timezone: "));
  EXPECT_THAT(error_after(set + "lanes = 'many'" + where), StartsWith("lanes: "));
  EXPECT_THAT(error_after(set + "is_active = 7" + where), StartsWith("is_active: "));
  EXPECT_THAT(error_after(set + "endpoint_path = 'x'" + where), StartsWith("endpoint_path: "));
  EXPECT_THAT(error_after(set + "partner_code = 'a' || char(27) || x'FF'" + where),
              StartsWith("partner_code: "));
  EXPECT_THAT(error_after(set + "database_name = ''" + where), StartsWith("database_name: "));
  EXPECT_THAT(error_after(set + "database_name = 'control'" + where),
              StartsWith("database_name: "));
}

}  // namespace
}  // namespace postback::partner
