// The purge (src/retention) over both kinds of database, beside a store that has them open.

#include "retention/purge.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "ingest/row_id.h"
#include "purge_harness.h"
#include "retention/limits.h"
#include "retention/purge_preview.h"

namespace postback::test {
namespace {

using ingest::RowIds;
using retention::kDayUs;
using retention::PurgeCounts;
using retention::PurgeOutcome;

class Purges : public PurgeTest {
 protected:
  // A conversion that was received so many days ago, with an id of that time.
  Conversion& add(TestBatch* batch, const std::string& conversion_id, int64_t days_ago,
                  int32_t partner = 1) {
    Conversion& conversion = batch->add(conversion_id, partner);
    date(&conversion, days_ago);
    conversion.usd_sale_amount = decimal("1.25");
    conversion.set(Field::raw_data, "{\"padding\":\"" + std::string(500, 'x') + "\"}");
    conversion.set(Field::request_ip, "203.0.113.7");
    return conversion;
  }
  void date(Conversion* conversion, int64_t days_ago) {
    conversion->received_at_us = clock_.now_us - days_ago * kDayUs - 1;
    conversion->id = RowIds::first_of(conversion->received_at_us) + next_id() % 4096;
  }
  // `count` conversions named by their age, a second apart.
  void store_many(TestStore& store, int count, int64_t days_ago, int32_t partner = 1) {
    TestBatch batch;
    batch.partner_id = partner;
    for (int i = 0; i < count; ++i) {
      Conversion& conversion = add(&batch, name(days_ago, i), days_ago, partner);
      conversion.received_at_us -= int64_t{1'000'000} * (count - i);
      conversion.id = RowIds::first_of(conversion.received_at_us) + partner;
    }
    ASSERT_EQ(store.commit(batch), BatchResult::committed) << batch.error;
  }
  static std::string name(int64_t days_ago, int i) {
    const std::string text = std::to_string(i);
    return std::to_string(days_ago) + "-" + std::string(6 - text.size(), '0') + text;
  }

  RowResult repeat(TestStore& store, const std::string& conversion_id) {
    TestBatch batch;
    batch.expected_new = true;
    batch.add(conversion_id).id = RowIds::first_of(clock_.now_us) + next_id() % 4096;
    EXPECT_EQ(store.commit(batch), BatchResult::committed) << batch.error;
    return batch.conversions[0].result;
  }
  size_t shown(TestStore& store, int32_t partner = 1) {
    return store.conversions(1000, INT64_MAX, partner).conversions.size();
  }
  std::string row_count() { return database_->value("SELECT count(*) FROM partner_conversions"); }
};

TEST_P(Purges, SlimWhatIsOlderAndKeepItsIdForRepeats) {
  TestStore& store = open_store();
  TestBatch batch;
  add(&batch, "old", 30);
  add(&batch, "young", 29);
  ASSERT_EQ(store.commit(batch), BatchResult::committed) << batch.error;
  EXPECT_EQ(purge(), 1);
  const StoreRead page = store.conversions(10);
  ASSERT_EQ(page.conversions.size(), 1u) << page.error;
  EXPECT_EQ(page.conversions[0].conversion_id, "young");
  EXPECT_EQ(repeat(store, "old"), RowResult::duplicate);
  EXPECT_EQ(repeat(store, "young"), RowResult::duplicate);
  EXPECT_EQ(repeat(store, "new"), RowResult::stored);
  const StoreRead stats = store.stats();
  EXPECT_EQ(stats.stats.conversion_count, 3);
  EXPECT_EQ(stats.stats.duplicate_count, 2);
  EXPECT_EQ(stats.stats.sale_amount.to_string(), "2.50");
  EXPECT_EQ(database_->query("SELECT raw_data, request_ip, usd_sale_amount, request_headers"
                             " FROM partner_conversions WHERE conversion_id = 'old'"),
            (TestDatabase::Rows{{"NULL", "NULL", "NULL", "NULL"}}));
  EXPECT_EQ(purge(), 0) << "it was purged already";
}

TEST_P(Purges, ForgetIdsAfterTheirOwnTime) {
  TestStore& store = open_store();
  TestBatch batch;
  add(&batch, "ancient", 400);
  add(&batch, "kept", 399);
  ASSERT_EQ(store.commit(batch), BatchResult::committed) << batch.error;
  purge();
  EXPECT_EQ(counts_.forgotten, 1);
  EXPECT_EQ(repeat(store, "ancient"), RowResult::stored);
  EXPECT_EQ(repeat(store, "kept"), RowResult::duplicate);
  EXPECT_EQ(store.stats().stats.conversion_count, 3);
}

TEST_P(Purges, KeepARowAsLongAsItIsShownEvenIfIdsAreKeptShorter) {
  partner_.dedupe_retention_days = 1;
  TestStore& store = open_store();
  TestBatch batch;
  add(&batch, "a", 29);
  add(&batch, "b", 31);
  ASSERT_EQ(store.commit(batch), BatchResult::committed) << batch.error;
  purge();
  EXPECT_EQ(counts_.forgotten, 1);
  EXPECT_EQ(shown(store), 1u);
  EXPECT_EQ(repeat(store, "a"), RowResult::duplicate);
}

TEST_P(Purges, DeleteQuarantinedPostbacksButKeepTheirCount) {
  TestStore& store = open_store();
  TestBatch batch;
  date(&batch.add_quarantined(Reason::amount_invalid), 31);
  date(&batch.add_quarantined(Reason::amount_invalid), 29);
  date(&batch.add_quarantined(Reason::amount_invalid, 1), 40);
  ASSERT_EQ(store.commit(batch), BatchResult::committed) << batch.error;
  purge();
  EXPECT_EQ(counts_.quarantined, 2);
  EXPECT_EQ(database_->value("SELECT count(*) FROM postback_quarantine"), "1");
  EXPECT_EQ(store.stats().stats.quarantined_count, 3);
}

TEST_P(Purges, TouchOnlyTheirPartnersRows) {
  TestStore& store = open_store();
  TestBatch mine;
  TestBatch others;
  others.partner_id = 2;
  for (int i = 0; i < 30; ++i) {
    add(&mine, "m" + std::to_string(i), 31);
    add(&others, "o" + std::to_string(i), 31, 2);
  }
  ASSERT_EQ(store.commit(mine), BatchResult::committed) << mine.error;
  ASSERT_EQ(store.commit(others), BatchResult::committed) << others.error;
  EXPECT_EQ(purge(), 30);
  EXPECT_EQ(shown(store), 0u);
  EXPECT_EQ(shown(store, 2), 30u);
}

// Wherever it is stopped, what was there is there, and the next one goes on.
TEST_P(Purges, GoOnWhereTheyWereStopped) {
  constexpr int kRows = 300;
  TestStore& store = open_store();
  store_many(store, kRows, 50);
  store_many(store, kRows, 420);
  int64_t purged = 0;
  int64_t forgotten = 0;
  int stops = 0;
  for (bool complete = false; !complete; ++stops) {
    ASSERT_LT(stops, 100);
    int pauses_left = 2 + stops;
    auto outcome = run([&](uint64_t) { return --pauses_left > 0; }, true);
    ASSERT_TRUE(outcome.ok()) << outcome.status().message();
    purged += counts_.purged;
    forgotten += counts_.forgotten;
    complete = outcome.value() == PurgeOutcome::complete;
    if (!complete) {
      ASSERT_EQ(outcome.value(), PurgeOutcome::stopped);
    }
    EXPECT_EQ(row_count(), std::to_string(2 * kRows - forgotten));
    EXPECT_EQ(store.stats().stats.conversion_count, 2 * kRows);
    if (stops == 3) partner_.data_retention_days = 20;  // Nor does a new setting disturb it.
  }
  EXPECT_GT(stops, 3);
  EXPECT_EQ(purged, 2 * kRows);
  EXPECT_EQ(forgotten, kRows);
  EXPECT_EQ(shown(store), 0u);
  EXPECT_EQ(repeat(store, name(50, 7)), RowResult::duplicate);
  EXPECT_EQ(repeat(store, name(420, 7)), RowResult::stored);
}

TEST_P(Purges, PassQuicklyOverWhatIsPurgedAlready) {
  constexpr int kRows = 3000;
  TestStore& store = open_store();
  store_many(store, kRows, 50);
  store_many(store, kRows, 50, 2);
  int pauses = 0;
  const auto count = [&pauses](uint64_t) { return ++pauses > 0; };
  ASSERT_TRUE(run(count).ok());
  EXPECT_EQ(counts_.purged, kRows);
  const int at_first = std::exchange(pauses, 0);
  store_many(store, kRows / 10, 40);
  ASSERT_TRUE(run(count).ok());
  EXPECT_EQ(counts_.purged, kRows / 10);
  EXPECT_LT(pauses, 25) << "at first " << at_first;
  EXPECT_EQ(shown(store), 0u);
  EXPECT_EQ(shown(store, 2), 1000u) << "a page of the other partner's";
}

TEST_P(Purges, AreDueOnceADay) {
  const auto go_on = [](uint64_t) { return true; };
  EXPECT_EQ(run(go_on, true).value(), PurgeOutcome::nothing_there);
  open_store();
  EXPECT_EQ(run(go_on, true).value(), PurgeOutcome::complete);
  EXPECT_EQ(run(go_on, true).value(), PurgeOutcome::not_due);
  clock_.now_us += kDayUs / 2;
  EXPECT_EQ(run(go_on, true, 8).value(), PurgeOutcome::not_due);
  EXPECT_EQ(run(go_on, false).value(), PurgeOutcome::complete) << "asked for by an operator";
  clock_.now_us += kDayUs;
  EXPECT_EQ(run(go_on, true, 8).value(), PurgeOutcome::complete);
}

TEST_P(Purges, AreMadeByOneProgramAtATimeWhichIsReplacedWhenItDies) {
  TestStore& store = open_store();
  store_many(store, 200, 31);
  bool asked = false;
  const auto meanwhile = [&](uint64_t) {
    if (asked) return true;
    asked = true;
    const PurgeCounts counts = counts_;
    EXPECT_EQ(run([](uint64_t) { return true; }, false, 8).value(), PurgeOutcome::of_another);
    counts_ = counts;
    clock_.now_us += retention::kLeaseUs + 1;  // The first one hangs for long.
    EXPECT_EQ(run([](uint64_t) { return true; }, false, 8).value(), PurgeOutcome::complete);
    return true;
  };
  const auto outcome = run(meanwhile, false, 7);
  EXPECT_TRUE(asked);
  ASSERT_FALSE(outcome.ok());
  EXPECT_NE(outcome.status().message().find("took over"), std::string::npos);
  EXPECT_EQ(shown(store), 0u);
  EXPECT_EQ(row_count(), "200");
}

TEST_P(Purges, TakeRowsThatAJournalBroughtLate) {
  TestStore& store = open_store();
  store_many(store, 10, 31);
  EXPECT_EQ(purge(), 10);
  TestBatch late;
  add(&late, "late", 32).set(Field::click_id, "x");
  ASSERT_EQ(store.commit(late), BatchResult::committed) << late.error;
  EXPECT_EQ(shown(store), 0u) << "older than anything that is shown";
  EXPECT_EQ(purge(), 1);
  EXPECT_EQ(repeat(store, "late"), RowResult::duplicate);
}

// Those of a partner that was disabled for weeks come later than three days below the floor.
TEST_P(Purges, TakeRowsThatCameFarTooLateByTheDailyOneToo) {
  TestStore& store = open_store();
  store_many(store, 10, 31);
  store_many(store, 10, 90);
  EXPECT_EQ(purge(), 20);
  TestBatch late;
  add(&late, "late", 60).set(Field::click_id, "x");
  add(&late, "later", 95).set(Field::click_id, "x");
  ASSERT_EQ(store.commit(late), BatchResult::committed) << late.error;
  clock_.now_us += kDayUs;
  auto outcome = run([](uint64_t) { return true; }, true);
  ASSERT_TRUE(outcome.ok()) << outcome.status().message();
  EXPECT_EQ(outcome.value(), PurgeOutcome::complete);
  EXPECT_EQ(counts_.purged, 2);
  EXPECT_EQ(database_->value("SELECT count(*) FROM partner_conversions WHERE click_id = 'x'"), "0");
  EXPECT_EQ(database_->value("SELECT swept_id FROM postback_purge"), "0") << "it begins anew";
}

// The look below the floor is bounded each day: the next one goes on where it ended.
TEST_P(Purges, GoOnBelowTheFloorWhereTheLastOneEnded) {
  TestStore& store = open_store();
  store_many(store, 10, 90);
  EXPECT_EQ(purge(), 10);
  TestBatch late;
  add(&late, "late", 60).set(Field::click_id, "x");
  add(&late, "later", 95).set(Field::click_id, "x");
  ASSERT_EQ(store.commit(late), BatchResult::committed) << late.error;
  database_->run("UPDATE postback_purge SET swept_id = " +
                 std::to_string(RowIds::first_of(clock_.now_us - 90 * kDayUs)));
  for (const int64_t purged : {1, 1, 0}) {
    clock_.now_us += kDayUs;
    auto outcome = run([](uint64_t) { return true; }, true);
    ASSERT_TRUE(outcome.ok()) << outcome.status().message();
    EXPECT_EQ(counts_.purged, purged);
  }
}

// Rows that an operator copied from another system, with ids that do not tell the time.
TEST_P(Purges, LeaveYoungRowsWithLowIds) {
  TestStore& store = open_store();
  store_many(store, 5, 60);
  TestBatch imported;
  add(&imported, "i", 3).id = 17;
  ASSERT_EQ(store.commit(imported), BatchResult::committed) << imported.error;
  EXPECT_EQ(purge(), 5);
  EXPECT_EQ(shown(store), 1u);
  clock_.now_us += 28 * kDayUs;
  EXPECT_EQ(purge(), 1);
  EXPECT_EQ(shown(store), 0u);
}

TEST_P(Purges, AreForetoldExactly) {
  TestStore& store = open_store();
  store_many(store, 20, 31);
  store_many(store, 10, 33);
  store_many(store, 5, 500);
  store_many(store, 5, 2);
  TestBatch batch;
  date(&batch.add_quarantined(Reason::invalid_json), 31);
  ASSERT_EQ(store.commit(batch), BatchResult::committed) << batch.error;
  auto client = retention::open_for_purge(partner_, partner::SqlMode::read, {});
  ASSERT_TRUE(client.ok()) << client.status().message();
  auto preview = retention::preview_purge(client.value().get(), partner_,
                                          {.now_us = clock_.now_us, .gaps = {}});
  ASSERT_TRUE(preview.ok()) << preview.status().message();
  EXPECT_EQ(preview.value().day_count, 3);
  EXPECT_EQ(preview.value().first_day, "2026-05-30");
  EXPECT_EQ(preview.value().last_day, "2027-09-11");
  EXPECT_EQ(purge(), preview.value().counts.purged);
  EXPECT_EQ(counts_.forgotten, preview.value().counts.forgotten);
  EXPECT_EQ(counts_.quarantined, preview.value().counts.quarantined);
  EXPECT_EQ(counts_.purged, 35);
  EXPECT_EQ(counts_.forgotten, 5);
}

TEST_P(Purges, GiveTheSpaceBackAndLeaveTheIndexesAlone) {
  constexpr int kRows = 900;
  TestStore& store = open_store();
  for (int64_t days_ago = 31; days_ago < 34; ++days_ago) store_many(store, kRows, 70 - days_ago);
  const bool is_sqlite = std::string(GetParam()) == "sqlite";
  const std::string sql = is_sqlite ? "SELECT page_count FROM pragma_page_count"
                                    : "SELECT pg_relation_size('partner_conversions_pkey') +"
                                      " pg_relation_size('partner_conversions_once')";
  const int64_t before = std::stoll(database_->value(sql));
  EXPECT_EQ(purge(), 3 * kRows);
  // Were each row written to the indexes anew, PostgreSQL's would grow by two thirds.
  EXPECT_LE(std::stoll(database_->value(sql)), before * 11 / 10);
  if (is_sqlite) {
    // Six rows of 680 bytes are on a page.
    EXPECT_GT(std::stoll(database_->value("SELECT freelist_count FROM pragma_freelist_count")),
              3 * kRows / 6 / 3);
    EXPECT_EQ(database_->value("PRAGMA integrity_check"), "ok");
  }
  EXPECT_EQ(repeat(store, name(38, 888)), RowResult::duplicate);
}

TEST_P(Purges, RefuseADatabaseOfAnotherVersion) {
  open_store().close();
  database_->run("UPDATE postback_schema SET version = 1");
  const auto outcome = run([](uint64_t) { return true; });
  ASSERT_FALSE(outcome.ok());
  EXPECT_NE(outcome.status().message().find("schema version 1"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(Stores, Purges, testing::Values("sqlite", "postgresql"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace postback::test
