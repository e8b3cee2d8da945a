// The contract of the store seam (postback/store.h), over both of its backends: what rows become,
// and when batches come back. Statistics and pages: store_reads_test.cc.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "store_harness.h"

namespace postback::test {
namespace {

using StoreContract = StoreTest;

TEST_P(StoreContract, CreatesAndMigratesAnEmptyDatabaseOnOpen) {
  TestStore& store = open_store();
  EXPECT_EQ(store->kind(), std::string(GetParam()));
  EXPECT_EQ(store->status().error, "");
  EXPECT_TRUE(store->can_submit());
  EXPECT_EQ(database_->value("SELECT max(version) FROM postback_schema"), "3");
  EXPECT_EQ(database_->value("SELECT count(*) FROM partner_conversions"), "0");
}

// As a server before the purge left it.
TEST_P(StoreContract, BringsADatabaseOfVersionOneUpToDate) {
  TestStore& old = open_store();
  TestBatch batch;
  batch.add("kept").usd_sale_amount = decimal("1.50");
  ASSERT_EQ(old.commit(batch), BatchResult::committed) << batch.error;
  old.close();
  database_->run(
      "DROP TABLE postback_purge; ALTER TABLE partner_conversions DROP COLUMN purged_at;"
      "DROP TABLE postback_partner_codes; ALTER TABLE postback_schema DROP COLUMN incarnation;"
      "UPDATE postback_schema SET version = 1");
  TestStore& store = open_store();
  EXPECT_EQ(database_->value("SELECT max(version) FROM postback_schema"), "3");
  const StoreRead page = store.conversions(10);
  ASSERT_EQ(page.conversions.size(), 1u) << page.error;
  EXPECT_EQ(page.conversions[0].conversion_id, "kept");
  TestBatch repeat;
  repeat.add("kept");
  ASSERT_EQ(store.commit(repeat), BatchResult::committed) << repeat.error;
  EXPECT_EQ(repeat.conversions[0].result, RowResult::duplicate);
}

TEST_P(StoreContract, GivesEachDatabaseAnIncarnationOnce) {
  const char* const kIncarnation = "SELECT incarnation FROM postback_schema";
  open_store().close();
  const std::string given = database_->value(kIncarnation);
  EXPECT_GE(given.size(), 32u) << given;
  open_store();
  EXPECT_EQ(database_->value(kIncarnation), given);
  const auto other =
      std::string_view(GetParam()) == "sqlite" ? make_sqlite_database() : make_postgres_database();
  store::StoreOptions elsewhere = options();
  elsewhere.url = other->url();
  TestStore& store = stores_.emplace_back(&core_, elsewhere);
  store->open();
  ASSERT_TRUE(core_.run_until([&] { return store->status().state == StoreState::up; }));
  EXPECT_NE(other->value(kIncarnation), given);
}

TEST_P(StoreContract, TakesABatchWhileIdleAndConnectsForIt) {
  TestStore& store = stores_.emplace_back(&core_, options());
  EXPECT_EQ(store->status().state, StoreState::idle);
  TestBatch batch;
  batch.add("first");
  EXPECT_EQ(store.commit(batch), BatchResult::committed) << batch.error;
  EXPECT_EQ(batch.count(RowResult::stored), 1);
  EXPECT_EQ(store->status().state, StoreState::up);
}

TEST_P(StoreContract, StoresEveryFieldExactly) {
  TestStore& store = open_store();
  TestBatch batch;
  Conversion& conversion = batch.add("conv001", 7);
  conversion.conversion_datetime_us = 1'736'899'200'000'000;  // 2025-01-15, midnight.
  conversion.received_at_us = kSomeTimeUs + 123'456;
  conversion.usd_sale_amount = decimal("99.90");
  conversion.usd_earning = decimal("-0.000000000001");
  conversion.set(Field::offer_id, "offer-1");
  conversion.set(Field::offer_name, "An offer");
  conversion.set(Field::media_id, "media456");
  conversion.set(Field::sub_id, "test123");
  conversion.set(Field::click_id, "click789");
  conversion.set(Field::processing_error, "a note");
  conversion.set(Field::raw_data, R"({"b": 1,  "a":"x"})");
  conversion.set(Field::request_headers, R"({"host":"localhost"})");
  conversion.set(Field::request_ip, "2001:db8::1");
  ASSERT_EQ(store.commit(batch), BatchResult::committed) << batch.error;

  const auto rows = database_->query(
      "SELECT id, partner_id, conversion_id, offer_id, offer_name, " +
      database_->time_sql("conversion_datetime") +
      ", usd_sale_amount, usd_earning, media_id, sub_id, click_id, processing_error, raw_data,"
      " request_headers, request_ip, " +
      database_->time_sql("received_at") +
      ", CASE WHEN is_processed THEN 1 ELSE 0 END, CASE WHEN is_duplicate THEN 1 ELSE 0 END"
      " FROM partner_conversions");
  const std::vector<std::string> expected = {std::to_string(conversion.id),
                                             "7",
                                             "conv001",
                                             "offer-1",
                                             "An offer",
                                             "2025-01-15T00:00:00.000000Z",
                                             "99.90",
                                             "-0.000000000001",
                                             "media456",
                                             "test123",
                                             "click789",
                                             "a note",
                                             R"({"b": 1,  "a":"x"})",
                                             R"({"host":"localhost"})",
                                             "2001:db8::1",
                                             "2025-01-15T10:20:30.123456Z",
                                             "0",
                                             "0"};
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0], expected);

  const StoreRead read = store.conversions(10, INT64_MAX, 7);
  ASSERT_TRUE(read.ok) << read.error;
  ASSERT_EQ(read.conversions.size(), 1u);
  const StoredConversion& stored = read.conversions[0];
  EXPECT_EQ(stored.id, conversion.id);
  EXPECT_EQ(stored.conversion_id, "conv001");
  EXPECT_EQ(stored.offer_id, "offer-1");
  EXPECT_EQ(stored.offer_name, "An offer");
  EXPECT_EQ(stored.media_id, "media456");
  EXPECT_EQ(stored.sub_id, "test123");
  EXPECT_EQ(stored.click_id, "click789");
  EXPECT_EQ(stored.usd_sale_amount, "99.90");
  EXPECT_EQ(stored.usd_earning, "-0.000000000001");
  EXPECT_EQ(stored.conversion_datetime_us, conversion.conversion_datetime_us);
  EXPECT_EQ(stored.processing_error, "a note");
  EXPECT_EQ(stored.raw_data, R"({"b": 1,  "a":"x"})");
  EXPECT_FALSE(stored.is_processed);
  EXPECT_FALSE(stored.is_duplicate);
  EXPECT_EQ(stored.received_at_us, conversion.received_at_us);
}

TEST_P(StoreContract, KeepsTheGreatestAndTheLongestAmounts) {
  TestStore& store = open_store();
  TestBatch batch;
  Conversion& conversion = batch.add("great");
  conversion.usd_sale_amount = decimal("999999999999999999.999999999999");
  conversion.usd_earning = decimal("-999999999999999999.999999999999");
  ASSERT_EQ(store.commit(batch), BatchResult::committed) << batch.error;
  const StoreRead read = store.conversions(1);
  ASSERT_EQ(read.conversions.size(), 1u);
  EXPECT_EQ(read.conversions[0].usd_sale_amount, "999999999999999999.999999999999");
  EXPECT_EQ(read.conversions[0].usd_earning, "-999999999999999999.999999999999");
  TestBatch more;
  for (int i = 0; i < 50; ++i) {
    more.add(std::to_string(i)).usd_sale_amount = conversion.usd_sale_amount;
  }
  ASSERT_EQ(store.commit(more), BatchResult::committed) << more.error;
  TestBatch last;  // Reads back a sum that is longer than any amount.
  last.add("last").usd_sale_amount = decimal("0.000000000051");
  ASSERT_EQ(store.commit(last), BatchResult::committed) << last.error;
  EXPECT_EQ(store.stats().stats.sale_amount.to_string(), "51000000000000000000.000000000000");
}

TEST_P(StoreContract, DistinguishesAbsentFromEmpty) {
  TestStore& store = open_store();
  TestBatch batch;
  Conversion& conversion = batch.add("c1");
  conversion.set(Field::media_id, "");
  ASSERT_EQ(store.commit(batch), BatchResult::committed) << batch.error;
  const auto rows = database_->query(
      "SELECT media_id, sub_id, click_id, offer_id, offer_name, conversion_datetime,"
      " usd_sale_amount, usd_earning, processing_error, raw_data, request_headers, request_ip"
      " FROM partner_conversions");
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0][0], "");
  for (size_t i = 1; i < rows[0].size(); ++i) EXPECT_EQ(rows[0][i], "NULL") << i;
  const StoreRead read = store.conversions(1);
  ASSERT_EQ(read.conversions.size(), 1u);
  EXPECT_EQ(read.conversions[0].media_id, "");
  EXPECT_FALSE(read.conversions[0].sub_id.has_value());
  EXPECT_FALSE(read.conversions[0].usd_sale_amount.has_value());
  EXPECT_FALSE(read.conversions[0].conversion_datetime_us.has_value());
  EXPECT_FALSE(read.conversions[0].raw_data.has_value());
}

TEST_P(StoreContract, KeepsHostileTextByteForByte) {
  const std::vector<std::string> texts = {
      "'; DROP TABLE partner_conversions; --",
      "{\"a\",NULL,\\\"}",
      "NULL",
      "\\",
      "a\"b\\\"c,d}{",
      "\xF0\x9F\x92\xB0\xF0\x9F\x8E\x89",         // Emoji.
      "\xE7\xB9\x81\xE9\xAB\x94\xE4\xB8\xAD",     // Traditional Chinese.
      "\xE2\x80\xAE right to left \xE2\x80\xAC",  //
      "tab\tline\r\nfeed",
      "%s%n$1 ?1 :a @b",
      " leading and trailing ",
  };
  TestStore& store = open_store();
  TestBatch batch;
  for (size_t i = 0; i < texts.size(); ++i) {
    Conversion& conversion = batch.add(std::to_string(i));
    conversion.set(Field::offer_name, texts[i]);
    conversion.set(Field::sub_id, texts[i]);
  }
  ASSERT_EQ(store.commit(batch), BatchResult::committed) << batch.error;
  const StoreRead read = store.conversions(100);
  ASSERT_EQ(read.conversions.size(), texts.size());
  for (const StoredConversion& stored : read.conversions) {
    const std::string& text = texts[std::stoul(stored.conversion_id)];
    EXPECT_EQ(stored.offer_name, text);
    EXPECT_EQ(stored.sub_id, text);
  }
}

TEST_P(StoreContract, TakesHostileTextAsConversionId) {
  const std::vector<std::string> ids = {"'; --", "NULL", "\"", "\\",
                                        "{}",    "a,b",  " ",  "\xF0\x9F\x92\xB0"};
  TestStore& store = open_store();
  for (const RowResult expected : {RowResult::stored, RowResult::duplicate}) {
    TestBatch batch;
    std::set<std::string> sorted(ids.begin(), ids.end());
    for (const std::string& id : sorted) batch.add(id);
    ASSERT_EQ(store.commit(batch), BatchResult::committed) << batch.error;
    EXPECT_EQ(batch.count(expected), static_cast<int64_t>(ids.size()));
  }
}

TEST_P(StoreContract, CallsARepeatInALaterBatchADuplicate) {
  TestStore& store = open_store();
  TestBatch first;
  first.add("a").usd_sale_amount = decimal("1");
  first.add("b");
  ASSERT_EQ(store.commit(first), BatchResult::committed) << first.error;
  TestBatch second;
  second.add("b").usd_sale_amount = decimal("2");
  second.add("c");
  ASSERT_EQ(store.commit(second), BatchResult::committed) << second.error;
  EXPECT_EQ(second.conversions[0].result, RowResult::duplicate);
  EXPECT_EQ(second.conversions[1].result, RowResult::stored);
  EXPECT_EQ(database_->value("SELECT count(*) FROM partner_conversions"), "3");
  EXPECT_EQ(database_->value("SELECT id FROM partner_conversions WHERE conversion_id='b'"),
            std::to_string(first.conversions[1].conversion->id));
}

TEST_P(StoreContract, TheUniqueIndexDecidesAlsoWhenNewIdsAreExpected) {
  TestStore& store = open_store();
  for (int round = 0; round < 3; ++round) {
    TestBatch batch;
    batch.expected_new = true;
    batch.add("again");
    batch.add("new" + std::to_string(round));
    ASSERT_EQ(store.commit(batch), BatchResult::committed) << batch.error;
    EXPECT_EQ(batch.conversions[0].result, round == 0 ? RowResult::stored : RowResult::duplicate);
    EXPECT_EQ(batch.conversions[1].result, RowResult::stored);
  }
}

TEST_P(StoreContract, TellsWhetherAConversionIsNewToTheDatabase) {
  TestStore& store = open_store();
  for (const bool expected_new : {true, false}) {
    const std::string name = expected_new ? "plain" : "once";
    TestBatch batch;
    batch.expected_new = expected_new;
    batch.add(name);
    batch.add_quarantined(Reason::amount_invalid);
    ASSERT_EQ(store.commit(batch), BatchResult::committed) << batch.error;
    EXPECT_TRUE(batch.inserted);
    ASSERT_EQ(store.commit(batch), BatchResult::committed) << batch.error;
    EXPECT_EQ(batch.count(RowResult::stored), 1) << "under its own id";
    EXPECT_FALSE(batch.inserted) << "it was there";
  }
  TestBatch other;
  other.add_quarantined(Reason::amount_invalid);
  ASSERT_EQ(store.commit(other), BatchResult::committed) << other.error;
  EXPECT_FALSE(other.inserted) << "a row of the quarantine says nothing about conversions";
}

TEST_P(StoreContract, StoresTheSameIdForAnotherPartner) {
  TestStore& store = open_store();
  TestBatch batch;
  batch.add("same", 1);
  ASSERT_EQ(store.commit(batch), BatchResult::committed) << batch.error;
  TestBatch other;
  other.add("same", 2);
  ASSERT_EQ(store.commit(other), BatchResult::committed) << other.error;
  EXPECT_EQ(other.conversions[0].result, RowResult::stored);
  EXPECT_EQ(store.conversions(10, INT64_MAX, 1).conversions.size(), 1u);
  EXPECT_EQ(store.conversions(10, INT64_MAX, 2).conversions.size(), 1u);
}

TEST_P(StoreContract, MayRepeatABatchWhoseOutcomeWasLost) {
  TestStore& store = open_store();
  TestBatch batch;
  batch.add("a").usd_sale_amount = decimal("5.00");
  batch.add_quarantined(Reason::amount_invalid);
  ASSERT_EQ(store.commit(batch), BatchResult::committed) << batch.error;
  ASSERT_EQ(store.commit(batch), BatchResult::committed) << batch.error;
  EXPECT_NE(batch.conversions[0].result, RowResult::pending);
  EXPECT_EQ(database_->value("SELECT count(*) FROM partner_conversions"), "1");
  EXPECT_EQ(database_->value("SELECT count(*) FROM postback_quarantine"), "1");
  const StoreRead read = store.stats();
  EXPECT_EQ(read.stats.conversion_count, 1);
  EXPECT_EQ(read.stats.quarantined_count, 1);
  EXPECT_EQ(read.stats.sale_amount.to_string(), "5.00");
}

TEST_P(StoreContract, StoresABatchOfAThousand) {
  TestStore& store = open_store();
  TestBatch batch;
  for (int i = 1000; i < 2000; ++i) {
    Conversion& conversion = batch.add("id" + std::to_string(i));
    conversion.set(Field::raw_data, "{\"n\":\"" + std::string(500, 'x') + "\"}");
    conversion.usd_sale_amount = decimal("0.01");
  }
  ASSERT_EQ(store.commit(batch), BatchResult::committed) << batch.error;
  EXPECT_EQ(batch.count(RowResult::stored), 1000);
  EXPECT_EQ(database_->value("SELECT count(*) FROM partner_conversions"), "1000");
  EXPECT_EQ(store.stats().stats.sale_amount.to_string(), "10.00");
}

TEST_P(StoreContract, FinishesManyBatchesInTheOrderOfSubmission) {
  TestStore& store = open_store();
  std::deque<TestBatch> batches(200);
  uint32_t in_flight_max = 0;
  for (TestBatch& batch : batches) {
    const auto number = static_cast<int64_t>(&batch - &batches.front());
    for (int i = 0; i < 3; ++i) {
      batch.add(std::to_string(next_id()) + "-" + std::to_string(number));
    }
    store.submit(batch);
    in_flight_max = std::max(in_flight_max, store->status().batches_in_flight);
  }
  ASSERT_TRUE(core_.run_until([&] { return store.batches_done.size() == batches.size(); }));
  for (size_t i = 0; i < batches.size(); ++i) {
    EXPECT_EQ(store.batches_done[i], &batches[i]);
    EXPECT_EQ(batches[i].result, BatchResult::committed) << batches[i].error;
  }
  EXPECT_GE(in_flight_max, 2u);
  EXPECT_EQ(store->status().batches_in_flight, 0u);
}

TEST_P(StoreContract, KeepsQuarantinedPostbacksWithTheirBytes) {
  std::string body;
  for (int i = 0; i < 256; ++i) body.push_back(static_cast<char>(i));
  TestStore& store = open_store();
  TestBatch batch;
  Conversion& bad = batch.add_quarantined(Reason::invalid_json, 3);
  bad.set(Field::fault_field, "usd_sale_amount");
  bad.set(Field::fault_message, "not a number");
  bad.set(Field::conversion_id, "conv9");
  bad.set(Field::method, "POST");
  bad.set(Field::target, "/partner/x/event?a=%00");
  bad.set(Field::raw_data, "{}");
  bad.set(Field::request_headers, R"({"a":"b"})");
  bad.set(Field::body, body);
  bad.set(Field::request_ip, "192.0.2.1");
  Conversion& bare = batch.add_quarantined(Reason::conversion_id_missing, 3);
  Conversion& empty = batch.add_quarantined(Reason::conversion_id_missing, 3);
  empty.set(Field::body, "");
  ASSERT_EQ(store.commit(batch), BatchResult::committed) << batch.error;

  const auto rows = database_->query(
      "SELECT id, partner_id, " + database_->time_sql("received_at") +
      ", reason, field, message, conversion_id, method, target, raw_data, request_headers, " +
      database_->hex_sql("body") + ", request_ip FROM postback_quarantine ORDER BY id");
  ASSERT_EQ(rows.size(), 3u);
  std::string hex;
  for (const unsigned char byte : body) {
    hex.push_back("0123456789abcdef"[byte >> 4]);
    hex.push_back("0123456789abcdef"[byte & 15]);
  }
  const std::vector<std::string> expected = {std::to_string(bad.id),
                                             "3",
                                             "2025-01-15T10:20:30.000000Z",
                                             "invalid_json",
                                             "usd_sale_amount",
                                             "not a number",
                                             "conv9",
                                             "POST",
                                             "/partner/x/event?a=%00",
                                             "{}",
                                             R"({"a":"b"})",
                                             hex,
                                             "192.0.2.1"};
  EXPECT_EQ(rows[0], expected);
  EXPECT_EQ(rows[1][0], std::to_string(bare.id));
  EXPECT_EQ(rows[1][3], "conversion_id_missing");
  EXPECT_EQ(rows[1][4], "NULL");
  EXPECT_EQ(rows[1][6], "NULL");
  EXPECT_EQ(rows[2][11], "");
  EXPECT_EQ(database_->value("SELECT count(*) FROM postback_quarantine WHERE body IS NULL"), "1");
}

// Two servers can make one row id in the same microsecond.
TEST_P(StoreContract, TellsAnotherPostbackOfTheSameRowIdFromTheSameOneOnceMore) {
  TestStore& store = open_store();
  const auto call = [](TestBatch* batch, const char* target) -> Conversion& {
    Conversion& row = batch->add_quarantined(Reason::amount_invalid);
    row.set(Field::method, "POST");
    row.set(Field::target, target);
    row.set(Field::body, std::string_view("\0\xFF", 2));
    return row;
  };
  TestBatch first;
  const int64_t id = call(&first, "/partner/x?amount=1.x").id;
  for (int i = 0; i < 3; ++i) {  // The answers to the first two were lost.
    first.expected_new = i != 1;
    ASSERT_EQ(store.commit(first), BatchResult::committed) << first.error;
  }
  for (const bool expected_new : {true, false}) {
    TestBatch other;
    other.add(expected_new ? "beside it" : "beside it, too");
    Conversion& row = call(&other, "/partner/x?amount=2.x");
    row.id = id;
    other.expected_new = expected_new;
    ASSERT_EQ(store.commit(other), BatchResult::rejected) << other.error;
    EXPECT_TRUE(other.id_taken) << other.error;
    EXPECT_EQ(database_->value("SELECT count(*) FROM partner_conversions"),
              expected_new ? "0" : "1");
    row.id = id + (expected_new ? 1 : 2);
    ASSERT_EQ(store.commit(other), BatchResult::committed) << other.error;
    EXPECT_FALSE(other.id_taken);
  }
  EXPECT_EQ(database_->query("SELECT target FROM postback_quarantine ORDER BY id"),
            (TestDatabase::Rows{
                {"/partner/x?amount=1.x"}, {"/partner/x?amount=2.x"}, {"/partner/x?amount=2.x"}}));
  const StoreRead read = store.stats();
  EXPECT_EQ(read.stats.quarantined_count, 3);
  EXPECT_EQ(read.stats.conversion_count, 2);
}

TEST_P(StoreContract, StoresTheSameConversionOfTwoPartnersAlsoWhenTheyGotOneRowId) {
  TestStore& store = open_store();
  TestBatch first;
  const int64_t id = first.add("a", 1).id;
  ASSERT_EQ(store.commit(first), BatchResult::committed) << first.error;
  TestBatch second;
  Conversion& row = second.add("a", 2);
  row.id = id;
  ASSERT_EQ(store.commit(second), BatchResult::rejected) << second.error;
  EXPECT_TRUE(second.id_taken) << second.error;
  row.id = id + 1;
  ASSERT_EQ(store.commit(second), BatchResult::committed) << second.error;
  EXPECT_EQ(second.count(RowResult::stored), 1);
}

TEST_P(StoreContract, CloseFinishesEachOutstandingBatchOnceAndThenSaysClosed) {
  TestStore& store = open_store();
  std::deque<TestBatch> batches;
  while (store->can_submit()) {
    TestBatch& batch = batches.emplace_back();
    batch.add("close" + std::to_string(batches.size()));
    store->submit(batch);
    ASSERT_LT(batches.size(), 100u);
  }
  StoreRead read;
  read.partner_id = 1;
  store->read(read);
  store.start_close();
  EXPECT_EQ(store.closed_count, 0);
  EXPECT_TRUE(store.batches_done.empty());
  ASSERT_TRUE(core_.run_until([&] { return store.closed_count > 0; }));
  EXPECT_EQ(store.batches_done.size(), batches.size());
  EXPECT_EQ(store.reads_done.size(), 1u);
  for (TestBatch& batch : batches) EXPECT_EQ(batch.result, BatchResult::committed) << batch.error;
  for (int i = 0; i < 3; ++i) core_.turn(std::chrono::milliseconds(5));
  EXPECT_EQ(store.closed_count, 1);
  EXPECT_EQ(database_->value("SELECT count(*) FROM partner_conversions"),
            std::to_string(batches.size()));
}

TEST_P(StoreContract, ClosesAStoreThatWasNeverUsed) {
  TestStore& store = stores_.emplace_back(&core_, options());
  store.start_close();
  EXPECT_EQ(store.closed_count, 0);
  EXPECT_TRUE(core_.run_until([&] { return store.closed_count == 1; }));
}

TEST_P(StoreContract, ClosesAStoreThatIsStillConnecting) {
  TestStore& store = stores_.emplace_back(&core_, options());
  TestBatch batch;
  batch.add("late");
  store->submit(batch);
  store.start_close();
  ASSERT_TRUE(core_.run_until([&] { return store.closed_count == 1; }));
  ASSERT_EQ(store.batches_done.size(), 1u);
  EXPECT_TRUE(batch.result == BatchResult::committed || batch.result == BatchResult::unavailable);
}

TEST_P(StoreContract, RefusesADatabaseWithoutItsUniqueIndex) {
  open_store().close();
  database_->run("DROP INDEX partner_conversions_once");
  TestStore& store = stores_.emplace_back(&core_, options());
  store->open();
  ASSERT_TRUE(core_.run_until([&] { return store->status().state == StoreState::schema_wrong; }));
  EXPECT_NE(store->status().error.find("partner_conversions_once"), std::string::npos)
      << store->status().error;
  EXPECT_FALSE(store->can_submit());
}

TEST_P(StoreContract, RefusesADatabaseOfANewerSchema) {
  open_store().close();
  database_->run("UPDATE postback_schema SET version = 99");
  TestStore& store = stores_.emplace_back(&core_, options());
  TestBatch batch;
  batch.add("x");
  EXPECT_EQ(store.commit(batch), BatchResult::schema);
  EXPECT_EQ(store->status().state, StoreState::schema_wrong);
  EXPECT_NE(batch.error.find("99"), std::string::npos) << batch.error;
}

// Two cores with a lane each, on one database: every id is once `stored`, whoever comes first.
TEST_P(StoreContract, StoresEachIdOnceWhenTwoStoresRace) {
  constexpr int kBatches = 40;
  constexpr int kRows = 25;
  open_store().close();  // So that they race for rows, not for the migration.
  std::atomic<int64_t> stored = 0;
  std::atomic<int64_t> duplicate = 0;
  const auto race = [&](int64_t writer_id) {
    TestCore core;
    TestStore store(&core, options(writer_id, &core));
    for (int n = 0; n < kBatches; ++n) {
      TestBatch batch;
      std::set<std::string> ids;
      for (int i = 0; i < kRows; ++i) ids.insert("id" + std::to_string(n * kRows / 2 + i));
      for (const std::string& id : ids) batch.add(id).usd_sale_amount = decimal("1.00");
      BatchResult result = BatchResult::pending;
      do {  // Two plain inserts may clash; what is unavailable is repeated.
        result = store.commit(batch);
      } while (result == BatchResult::unavailable);
      ASSERT_EQ(result, BatchResult::committed) << batch.error;
      stored += batch.count(RowResult::stored);
      duplicate += batch.count(RowResult::duplicate);
    }
  };
  std::thread first(race, 1);
  std::thread second(race, 2);
  first.join();
  second.join();
  EXPECT_EQ(stored + duplicate, 2 * kBatches * kRows);
  EXPECT_EQ(database_->value("SELECT count(*) FROM partner_conversions"), std::to_string(stored));
  EXPECT_EQ(database_->value("SELECT count(DISTINCT conversion_id) FROM partner_conversions"),
            std::to_string(stored));
  TestStore& store = open_store(3);
  const StoreRead read = store.stats();
  EXPECT_EQ(read.stats.conversion_count, stored);
  EXPECT_EQ(read.stats.duplicate_count, duplicate);
  EXPECT_EQ(read.stats.sale_amount, decimal(std::to_string(stored)));
}

INSTANTIATE_TEST_SUITE_P(Stores, StoreContract, testing::Values("sqlite", "postgresql"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace postback::test
