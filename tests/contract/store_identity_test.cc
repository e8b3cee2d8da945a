// Both stores over a database that turns out not to be the one it was.
#include <gtest/gtest.h>

#include <deque>
#include <filesystem>
#include <string>
#include <utility>

#include "store/services.h"
#include "store_harness.h"

namespace postback::test {
namespace {

using StoreIdentity = StoreTest;

TEST_P(StoreIdentity, LooksASampleOfIdsUpInTheBatch) {
  TestStore& store = open_store();
  TestBatch batch;
  batch.add("here");
  batch.add("of another partner", 2);
  batch.conversions.pop_back();
  ASSERT_EQ(store.commit(batch), BatchResult::committed) << batch.error;
  TestBatch question;  // And nothing else.
  question.sample = {"here", "never seen", "it's \"quoted\\\""};
  ASSERT_EQ(store.commit(question), BatchResult::committed) << question.error;
  EXPECT_EQ(question.sample_found, 1u);
  TestBatch mixed;
  mixed.sample = {"here"};
  mixed.add("more");
  ASSERT_EQ(store.commit(mixed), BatchResult::committed) << mixed.error;
  EXPECT_EQ(mixed.sample_found, 1u);
  EXPECT_EQ(mixed.count(RowResult::stored), 1);
}

TEST_P(StoreIdentity, NoticesWithinSecondsThatTheUniqueIndexIsGoneUnderALiveConnection) {
  TestStore& store = open_store();
  TestBatch first;
  first.expected_new = true;
  first.add("a");
  ASSERT_EQ(store.commit(first), BatchResult::committed) << first.error;
  database_->run("DROP INDEX partner_conversions_once");
  std::deque<TestBatch> batches;
  const auto is_noticed = [&] {
    if (store->status().state == StoreState::schema_wrong) return true;
    if (!store->can_submit()) return false;
    TestBatch& batch = batches.emplace_back();
    batch.expected_new = true;
    batch.add("new " + std::to_string(batches.size()));
    store->submit(batch);
    return false;
  };
  EXPECT_TRUE(core_.run_until(is_noticed, std::chrono::seconds(4)));
  // SQLite refuses the next statement by itself, in its own words.
  const std::string error = store->status().error;
  EXPECT_TRUE(error.find("partner_conversions_once") != std::string::npos ||
              error.find("does not match any PRIMARY KEY or UNIQUE constraint") !=
                  std::string::npos)
      << error;
  store.close();
}

TEST_P(StoreIdentity, RefusesRowsOfAPartnerWhoseIdIsAnothersInTheDatabase) {
  const auto as = [this](int32_t id, const char* code, const char* registry) {
    store::StoreOptions mine = options();
    mine.partner_id = id;
    mine.partner_code = code;
    mine.registry_id = registry;
    return mine;
  };
  const auto commit = [&](const store::StoreOptions& mine, const std::string& conversion_id) {
    TestStore& store = stores_.emplace_back(&core_, mine);
    TestBatch batch;
    batch.partner_id = mine.partner_id;
    batch.add(conversion_id, mine.partner_id);
    const BatchResult result = store.commit(batch);
    store.close();
    return std::pair(result, batch.error);
  };
  ASSERT_EQ(commit(as(3, "alpha", "registry-1"), "a").first, BatchResult::committed);
  // The control database was made anew: id 3 is beta now.
  const auto [result, error] = commit(as(3, "beta", "registry-2"), "b");
  EXPECT_EQ(result, BatchResult::schema);
  EXPECT_NE(error.find("partner id 3 is partner alpha, not beta"), std::string::npos) << error;
  EXPECT_EQ(database_->value("SELECT count(*) FROM partner_conversions"), "1");
  // And alpha is 5: its earlier conversions would be stored once more.
  EXPECT_EQ(commit(as(5, "alpha", "registry-2"), "a").first, BatchResult::schema);
  // What fits is stored: the same id and code, also by another control database; a new partner;
  // a new name that the same control database gives.
  EXPECT_EQ(commit(as(3, "alpha", "registry-2"), "c").first, BatchResult::committed);
  EXPECT_EQ(commit(as(4, "beta", "registry-2"), "d").first, BatchResult::committed);
  EXPECT_EQ(commit(as(4, "gamma", "registry-2"), "e").first, BatchResult::committed);
  EXPECT_EQ(database_->value("SELECT partner_code FROM postback_partner_codes"
                             " WHERE partner_id = 4"),
            "gamma");
  database_->run("DELETE FROM postback_partner_codes WHERE partner_id = 3");
  EXPECT_EQ(commit(as(3, "beta", "registry-2"), "b").first, BatchResult::committed);
}

// The same of a PostgreSQL database: pg_identity_test.cc.
class SqliteIdentity : public StoreTest {};

TEST_P(SqliteIdentity, ADeletedDatabaseIsMadeAnewWhenAnOperatorSaysSo) {
  const std::string path = database_->url().substr(std::string_view("sqlite:").size());
  open_store().close();
  for (const char* suffix : {"", "-lock"}) ASSERT_TRUE(std::filesystem::remove(path + suffix));
  TestStore& next = stores_.emplace_back(&core_, options());
  next->open();
  ASSERT_TRUE(core_.run_until([&] { return next->status().state == StoreState::down; }));
  EXPECT_FALSE(std::filesystem::exists(path));
  next.close();
  store::StoreOptions forgetting = options();
  forgetting.partner_code = "some_partner";
  forgetting.memory_epoch = 1;
  TestBatch batch;
  batch.add("after");
  TestStore& anew = stores_.emplace_back(&core_, forgetting);
  EXPECT_EQ(anew.commit(batch), BatchResult::committed) << batch.error;
}

INSTANTIATE_TEST_SUITE_P(Stores, SqliteIdentity, testing::Values("sqlite"));
INSTANTIATE_TEST_SUITE_P(Stores, StoreIdentity, testing::Values("sqlite", "postgresql"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace postback::test
