// The merge of old statistics (retention/stats_merge.h) over both kinds of database, beside stores
// that have them open.

#include "retention/stats_merge.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <iostream>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <tuple>

#include "ingest/row_id.h"
#include "purge_harness.h"
#include "retention/purge_preview.h"
#include "retention/purge_rows.h"
#include "retention/stats_row.h"

namespace postback::test {
namespace {

using retention::kHourUs;
using retention::StatsLevel;

constexpr int64_t kRetryWriter = -1;

TEST(StatsWindow, BeginsAtWhatItsAgeIsToldBy) {
  const int64_t now_us = kSomeTimeUs;  // 10:20:30.
  const int64_t minute_us = base::minute_floor_us(now_us);
  EXPECT_EQ(retention::stats_begin_us(now_us - kHourUs, now_us), minute_us - kHourUs);
  EXPECT_EQ(retention::stats_begin_us(now_us - 48 * kHourUs, now_us), minute_us - 2 * kDayUs);
  const int64_t hour_us = now_us - 20 * kMinuteUs - 30'000'000;
  EXPECT_EQ(retention::stats_begin_us(now_us - 49 * kHourUs, now_us), hour_us - 49 * kHourUs);
  EXPECT_EQ(retention::stats_begin_us(now_us - 35 * kDayUs, now_us), hour_us - 35 * kDayUs);
  const int64_t day_us = hour_us - 10 * kHourUs;
  EXPECT_EQ(retention::stats_begin_us(now_us - 841 * kHourUs, now_us), day_us - 35 * kDayUs);
  EXPECT_EQ(retention::stats_begin_us(now_us - 3660 * kDayUs, now_us), day_us - 3660 * kDayUs);
}

TEST(StatsWindow, NeverBeginsWithinWhatIsMerged) {
  for (int64_t now_us = kSomeTimeUs; now_us < kSomeTimeUs + 2 * kDayUs; now_us += 17'000'001) {
    const int64_t hours_us = retention::stats_merge_before_us(StatsLevel::hour, now_us);
    const int64_t days_us = retention::stats_merge_before_us(StatsLevel::day, now_us);
    // Also for a reader whose clock is somewhat behind.
    const int64_t reader_us = now_us - 50 * kMinuteUs;
    ASSERT_GE(retention::stats_begin_us(reader_us - 2 * kDayUs, reader_us), hours_us);
    ASSERT_GE(retention::stats_begin_us(reader_us - 35 * kDayUs, reader_us), days_us);
  }
}

class StatsMerges : public PurgeTest {
 protected:
  // Adds to a row as postbackctl's retry does, beside the stores.
  void correct(int64_t time_us, const StoreStats& delta, int32_t partner = 1) {
    auto client = retention::open_for_purge(partner_, partner::SqlMode::guest, {});
    ASSERT_TRUE(client.ok()) << client.status().message();
    partner::SqlTransaction transaction(client.value().get());
    ASSERT_TRUE(transaction.begin().ok());
    const auto added = retention::add_to_stats(client.value().get(), partner,
                                               retention::time_text(base::minute_floor_us(time_us)),
                                               kRetryWriter, delta);
    ASSERT_TRUE(added.ok()) << added.message();
    ASSERT_TRUE(transaction.commit().ok());
  }
  static StoreStats one_duplicate() {
    StoreStats delta;
    delta.duplicate_count = 1;
    return delta;
  }
  void add(TestStore& store, int64_t time_us, const std::string& amount = "1.25",
           int32_t partner = 1) {
    TestBatch batch;
    batch.partner_id = partner;
    Conversion& conversion = batch.add("c" + std::to_string(next_id()), partner);
    conversion.received_at_us = time_us;
    conversion.usd_sale_amount = decimal(amount);
    ASSERT_EQ(store.commit(batch), BatchResult::committed) << batch.error;
  }
  int64_t ago(int64_t us) const { return clock_.now_us - us; }
  StoreRead window(TestStore& store, int64_t hours, int32_t partner = 1) {
    return store.stats(retention::stats_begin_us(ago(hours * kHourUs), clock_.now_us), partner);
  }
  using Sums = std::tuple<int64_t, int64_t, int64_t, std::string, std::string,
                          std::optional<int64_t>, std::optional<int64_t>>;
  static Sums sums(const StoreRead& read) {
    EXPECT_TRUE(read.ok) << read.error;
    const StoreStats& stats = read.stats;
    return {stats.conversion_count,        stats.duplicate_count,     stats.quarantined_count,
            stats.sale_amount.to_string(), stats.earning.to_string(), stats.first_conversion_at_us,
            stats.last_conversion_at_us};
  }
  // The minutes and writers of the partner's rows, those of the first days before `before_us`.
  TestDatabase::Rows rows(int64_t before_us = INT64_MAX, int32_t partner = 1) {
    std::string sql = "SELECT " + database_->time_sql("minute") +
                      ", writer FROM postback_stats WHERE partner_id = " + std::to_string(partner);
    if (before_us != INT64_MAX) sql += " AND minute < '" + retention::time_text(before_us) + "'";
    return database_->query(sql + " ORDER BY 1, 2");
  }
  TestDatabase::Rows all() {
    return database_->query("SELECT * FROM postback_stats ORDER BY 1, 2, 3");
  }
  std::string text(int64_t time_us) { return retention::time_text(time_us); }
  static int64_t hour(int64_t time_us) {
    return retention::stats_floor_us(StatsLevel::hour, time_us);
  }
  static int64_t day(int64_t time_us) {
    return retention::stats_floor_us(StatsLevel::day, time_us);
  }
};

TEST_P(StatsMerges, LeaveOneRowOfAllWritersOfAnHourAndLaterOfADay) {
  TestStore& one = open_store(11);
  TestStore& two = open_store(12);
  const int64_t young_us = hour(ago(3 * kDayUs));
  for (const int minute : {0, 1, 59}) {
    add(one, young_us + minute * kMinuteUs);
    add(two, young_us + minute * kMinuteUs + 1, "-0.001");
  }
  const int64_t old_us = day(ago(40 * kDayUs));
  for (const int hour : {0, 5, 23}) {
    add(one, old_us + hour * kHourUs + 7 * kMinuteUs);
    add(two, old_us + hour * kHourUs + 7 * kMinuteUs);
  }
  purge();
  EXPECT_EQ(counts_.stats.hours, 4);
  EXPECT_EQ(counts_.stats.days, 1);
  EXPECT_EQ(rows(), (TestDatabase::Rows{{text(old_us), "0"}, {text(young_us), "0"}}));
  const StoreRead young = one.stats(young_us);
  EXPECT_EQ(young.stats.sale_amount.to_string(), "3.747");
  EXPECT_EQ(young.stats.first_conversion_at_us, young_us);
  EXPECT_EQ(young.stats.last_conversion_at_us, young_us + 59 * kMinuteUs + 1);
  EXPECT_EQ(one.stats().stats.conversion_count, 12);
}

TEST_P(StatsMerges, LeaveEveryWindowWhatItIs) {
  const auto seed = std::random_device{}();
  std::cout << "seed " << seed << '\n';
  std::mt19937_64 random(seed);
  TestStore* writers[] = {&open_store(11), &open_store(12)};
  // Of sixty days, half of it in the last four.
  const auto some_time = [&] {
    return ago(static_cast<int64_t>(random() % static_cast<uint64_t>(60 * kDayUs)) /
               (random() % 2 == 0 ? 15 : 1));
  };
  int64_t cents = 0;
  for (int n = 0; n < 40; ++n) {
    TestBatch batch;
    for (int i = 0; i < 15; ++i) {
      Conversion& conversion = batch.add("c" + std::to_string(next_id()));
      conversion.received_at_us = some_time();
      const auto units = static_cast<int64_t>(random() % 1'000'000) - 200'000;
      conversion.usd_sale_amount = Decimal{.units = units, .scale = 2};
      conversion.usd_earning = Decimal{.units = units * 10, .scale = 3};
      cents += units;
    }
    batch.add_quarantined(Reason::amount_invalid).received_at_us = some_time();
    batch.duplicate_count = 3;  // Without any conversion in their minute.
    batch.duplicates_at_us = some_time();
    ASSERT_EQ(writers[n % 2]->commit(batch), BatchResult::committed) << batch.error;
    StoreStats delta;
    delta.quarantined_count = -1;
    delta.duplicate_count = 1;
    correct(batch.quarantined[0]->received_at_us, delta);
  }
  std::map<int64_t, Sums> before;
  for (int64_t hours = 1; hours < 1500; hours += hours < 60 ? 1 : 23) {
    before[hours] = sums(window(*writers[0], hours));
  }
  for (const int64_t hours : {720, 840, 841, 87840}) {
    before[hours] = sums(window(*writers[0], hours));
  }
  const auto row_count = rows().size();
  purge();
  EXPECT_LT(rows().size(), row_count);
  for (const auto& [hours, expected] : before) {
    EXPECT_EQ(sums(window(*writers[1], hours)), expected) << hours << " hours, seed " << seed;
  }
  const StoreStats whole = window(*writers[0], 87840).stats;
  EXPECT_EQ(whole.sale_amount, (Decimal{.units = cents, .scale = 2})) << "seed " << seed;
  EXPECT_EQ(whole.earning, (Decimal{.units = cents, .scale = 2})) << "seed " << seed;
  EXPECT_EQ(whole.quarantined_count, 0);
  EXPECT_EQ(whole.duplicate_count, 160);
  // No two rows of one hour, or of one day, are left; no younger one is merged.
  std::map<int64_t, int> starts;
  const int64_t hours_us = retention::stats_merge_before_us(StatsLevel::hour, clock_.now_us);
  for (const auto& row : rows(hours_us)) {
    EXPECT_EQ(row[0].substr(14), "00:00.000000Z");
    EXPECT_EQ(row[1], "0");
  }
  const int64_t days_us = retention::stats_merge_before_us(StatsLevel::day, clock_.now_us);
  for (const auto& row : rows(days_us)) EXPECT_EQ(row[0].substr(11), "00:00:00.000000Z");
  EXPECT_EQ(
      database_->value("SELECT count(*) FROM postback_stats WHERE writer = 0 AND minute >= '" +
                       text(hours_us) + "'"),
      "0");

  const auto merged = all();
  purge();
  EXPECT_EQ(counts_.stats.hours + counts_.stats.days, 0) << "it was merged already";
  EXPECT_EQ(all(), merged);
}

TEST_P(StatsMerges, KeepMinutesForTwoDaysAndHoursForFiveWeeks) {
  TestStore& store = open_store();
  const int64_t times_us[] = {ago(2 * kDayUs), ago(2 * kDayUs + kHourUs), ago(35 * kDayUs),
                              ago(35 * kDayUs + kHourUs)};
  for (const int64_t time_us : times_us) add(store, time_us);
  purge();
  EXPECT_EQ(rows(), (TestDatabase::Rows{{text(hour(times_us[3])), "0"},
                                        {text(hour(times_us[2])), "0"},
                                        {text(base::minute_floor_us(times_us[1])), "1"},
                                        {text(base::minute_floor_us(times_us[0])), "1"}}));
  EXPECT_EQ(window(store, 48).stats.conversion_count, 1);
  EXPECT_EQ(window(store, 49).stats.conversion_count, 2);
  EXPECT_EQ(window(store, 840).stats.conversion_count, 3);
  clock_.now_us += kDayUs;
  purge();
  EXPECT_EQ(rows(), (TestDatabase::Rows{{text(day(times_us[3])), "0"},
                                        {text(hour(times_us[1])), "0"},
                                        {text(hour(times_us[0])), "0"}}));
  EXPECT_EQ(store.stats().stats.conversion_count, 4);
}

TEST_P(StatsMerges, KeepMissingTimesMissingAndTakeUpThoseThatCome) {
  TestStore& store = open_store();
  const int64_t hour_us = hour(ago(3 * kDayUs));
  TestBatch batch;
  batch.duplicate_count = 3;
  batch.duplicates_at_us = hour_us + 5 * kMinuteUs;
  ASSERT_EQ(store.commit(batch), BatchResult::committed) << batch.error;
  StoreStats negative;
  negative.quarantined_count = -2;
  negative.sale_amount = decimal("-7.50");
  correct(hour_us + 9 * kMinuteUs, negative);
  purge();
  EXPECT_EQ(sums(store.stats()), Sums(0, 3, -2, "-7.50", "0", std::nullopt, std::nullopt));
  EXPECT_EQ(rows().size(), 1u);
  add(store, hour_us + 30 * kMinuteUs);
  purge();
  EXPECT_EQ(sums(store.stats()),
            Sums(1, 3, -2, "-6.25", "0", hour_us + 30 * kMinuteUs, hour_us + 30 * kMinuteUs));
  EXPECT_EQ(rows().size(), 1u);
}

TEST_P(StatsMerges, TakeUpWhatComesToMergedHoursAndDays) {
  TestStore& store = open_store();
  const int64_t times_us[] = {hour(ago(3 * kDayUs)), day(ago(40 * kDayUs))};
  for (const int64_t time_us : times_us) add(store, time_us + 7 * kMinuteUs);
  purge();
  ASSERT_EQ(rows().size(), 2u);
  for (const int64_t time_us : times_us) {
    add(store, time_us);  // Where the merged row is.
    add(store, time_us + 7 * kMinuteUs, "2");
    add(store, time_us + 50 * kMinuteUs, "3");
    correct(time_us, one_duplicate());
  }
  add(store, times_us[1] + 22 * kHourUs, "4");
  EXPECT_EQ(rows().size(), 11u);
  const Sums expected = sums(store.stats());
  EXPECT_EQ(std::get<0>(expected), 9);
  EXPECT_EQ(std::get<3>(expected), "19.00");
  purge();
  EXPECT_EQ(counts_.stats.hours, 3);
  EXPECT_EQ(counts_.stats.days, 1);
  EXPECT_EQ(rows().size(), 2u);
  EXPECT_EQ(sums(store.stats()), expected);
}

TEST_P(StatsMerges, TouchOnlyTheirPartnersRows) {
  TestStore& store = open_store();
  for (const int partner : {1, 2, 3}) {
    for (int minute = 0; minute < 5; ++minute) {
      add(store, hour(ago(3 * kDayUs)) + minute * kMinuteUs, "1.25", partner);
      add(store, ago(50 * kDayUs) + minute * kMinuteUs, "1.25", partner);
    }
  }
  partner_.id = 2;
  purge();
  EXPECT_EQ(rows(INT64_MAX, 2).size(), 2u);
  for (const int partner : {1, 3}) EXPECT_EQ(rows(INT64_MAX, partner).size(), 10u);
  for (const int partner : {1, 2, 3}) {
    EXPECT_EQ(store.stats(0, partner).stats.sale_amount.to_string(), "12.50");
  }
}

TEST_P(StatsMerges, GoOnWhereTheyWereStopped) {
  TestStore& store = open_store();
  TestBatch batch;
  for (int i = 0; i < 700; ++i) {  // More keys than one look at them reads.
    Conversion& conversion = batch.add("c" + std::to_string(next_id()));
    conversion.received_at_us = hour(ago(4 * kDayUs)) + i * kMinuteUs;
    conversion.id = ingest::RowIds::first_of(conversion.received_at_us);
    conversion.usd_sale_amount = decimal("0.01");
  }
  ASSERT_EQ(store.commit(batch), BatchResult::committed) << batch.error;
  add(store, day(ago(40 * kDayUs)) + 10 * kHourUs, "0.01");
  int64_t hours = 0;
  int stops = 0;
  for (bool complete = false; !complete; ++stops) {
    ASSERT_LT(stops, 100);
    int pauses_left = 7;
    auto outcome = run([&](uint64_t) { return --pauses_left > 0; }, true);
    ASSERT_TRUE(outcome.ok()) << outcome.status().message();
    complete = outcome.value() == PurgeOutcome::complete;
    hours += counts_.stats.hours;
    EXPECT_EQ(store.stats().stats.conversion_count, 701);
    EXPECT_EQ(store.stats().stats.sale_amount.to_string(), "7.01");
  }
  EXPECT_GT(stops, 3);
  EXPECT_EQ(hours, 12 + 1);
  EXPECT_EQ(rows().size(), 12u + 1);
}

TEST_P(StatsMerges, AreForetoldExactly) {
  TestStore& store = open_store();
  for (const int64_t days : {1, 3, 4, 36, 37, 60}) {
    for (const int64_t minutes : {0, 5, 70, 700}) {
      add(store, ago(days * kDayUs) - minutes * kMinuteUs);
    }
  }
  add(store, day(ago(90 * kDayUs)) + kMinuteUs);  // Its hour's row is its day's.
  for (int round = 0; round < 2; ++round) {
    auto client = retention::open_for_purge(partner_, partner::SqlMode::read, {});
    ASSERT_TRUE(client.ok()) << client.status().message();
    auto preview = retention::preview_purge(client.value().get(), partner_,
                                            {.now_us = clock_.now_us, .gaps = {}});
    ASSERT_TRUE(preview.ok()) << preview.status().message();
    purge();
    EXPECT_EQ(counts_.stats.hours, preview.value().counts.stats.hours);
    EXPECT_EQ(counts_.stats.days, preview.value().counts.stats.days);
    EXPECT_EQ(counts_.stats.hours > 0, round == 0);
    EXPECT_EQ(counts_.stats.days > 0, round == 0);
  }
}

// A server's batches and corrections go on adding to the very rows that are merged.
TEST_P(StatsMerges, LoseNothingOfWhatIsAddedMeanwhile) {
  TestStore& store = open_store();
  const int64_t hour_us = hour(ago(3 * kDayUs));
  std::atomic<bool> done = false;
  std::atomic<int64_t> merged = 0;
  std::atomic<int64_t> corrected = 0;
  std::atomic<int64_t> rounds = 0;
  std::string failure;
  std::thread merger([&] {
    while (!done) {
      auto outcome = run([](uint64_t) { return true; });
      if (!outcome.ok()) failure = outcome.status().message();
      merged += counts_.stats.hours;
    }
  });
  std::thread corrector([&] {
    for (int64_t seen = 0; !done; seen = rounds) {
      rounds.wait(seen);  // Not all the time: a SQLite file's lock is not fair.
      correct(hour_us + corrected % 3 * kMinuteUs, one_duplicate());
      ++corrected;
    }
  });
  int64_t count = 0;
  for (int n = 0; n < 150 || (merged < 10 && n < 5000); ++n) {
    TestBatch batch;
    batch.expected_new = n % 2 == 0;
    for (int i = 0; i < 6; ++i) {
      Conversion& conversion = batch.add("c" + std::to_string(next_id()));
      conversion.received_at_us = hour_us + (5 - i) * kMinuteUs;
      conversion.usd_sale_amount = decimal("0.01");
      ++count;
    }
    EXPECT_EQ(store.commit(batch), BatchResult::committed) << batch.error;
    const StoreRead read = store.stats();
    EXPECT_TRUE(read.ok) << read.error;
    EXPECT_EQ(read.stats.conversion_count, count);
    EXPECT_EQ(read.stats.sale_amount, (Decimal{.units = count, .scale = 2}));
    ++rounds;
    rounds.notify_one();
    core_.turn(std::chrono::milliseconds(1));
  }
  done = true;
  ++rounds;
  rounds.notify_one();
  merger.join();
  corrector.join();
  EXPECT_EQ(failure, "");
  EXPECT_GE(merged, 10);
  EXPECT_GT(corrected, 0);
  purge();
  EXPECT_EQ(rows().size(), 1u);
  EXPECT_EQ(store.stats().stats.conversion_count, count);
  EXPECT_EQ(store.stats().stats.duplicate_count, corrected);
}

// PostgreSQL leaves the row for the next time; a SQLite file has one writer, so all of it waits.
TEST_P(StatsMerges, LeaveOrAwaitWhatAnothersTransactionHolds) {
  TestStore& store = open_store();
  const int64_t hour_us = hour(ago(3 * kDayUs));
  const std::string held_minute = text(hour_us + 6 * kMinuteUs);
  add(store, hour_us + 5 * kMinuteUs);
  correct(hour_us + 6 * kMinuteUs, one_duplicate());
  auto client = retention::open_for_purge(partner_, partner::SqlMode::guest, {});
  ASSERT_TRUE(client.ok()) << client.status().message();
  bool held = false;
  const auto pause = [&](uint64_t pause_ns) {
    if (!held) {
      held = true;
      EXPECT_TRUE(client.value()->begin().ok());
      EXPECT_TRUE(retention::add_to_stats(client.value().get(), 1, held_minute, kRetryWriter,
                                          one_duplicate())
                      .ok());
    } else if (pause_ns == retention::kBusyPauseNs) {
      EXPECT_TRUE(client.value()->commit().ok());
    }
    return true;
  };
  auto outcome = run(pause, false, 7, {.connect_ms = 3000, .statement_ms = 200});
  ASSERT_TRUE(outcome.ok()) << outcome.status().message();
  EXPECT_EQ(outcome.value(), PurgeOutcome::complete);
  EXPECT_EQ(counts_.stats.hours, 1);
  if (std::string(GetParam()) == "postgresql") {
    EXPECT_EQ(rows(), (TestDatabase::Rows{{text(hour_us), "0"}, {held_minute, "-1"}}));
    EXPECT_TRUE(client.value()->commit().ok());
    purge();
  }
  EXPECT_EQ(rows(), (TestDatabase::Rows{{text(hour_us), "0"}}));
  EXPECT_EQ(store.stats().stats.conversion_count, 1);
  EXPECT_EQ(store.stats().stats.duplicate_count, 2);
}

// SQLite holds decimals as text, which somebody may have written by hand.
TEST_P(StatsMerges, TellARowThatCannotBeReadAndLeaveThePurgeComplete) {
  if (std::string(GetParam()) != "sqlite")
    GTEST_SKIP() << "PostgreSQL's column takes no such value";
  add(open_store(11), ago(10 * kDayUs));
  {
    auto client = retention::open_for_purge(partner_, partner::SqlMode::guest, {});
    ASSERT_TRUE(client.ok()) << client.status().message();
    partner::SqlTransaction transaction(client.value().get());
    ASSERT_TRUE(transaction.begin().ok());
    ASSERT_TRUE(client.value()->query("UPDATE postback_stats SET earning = '1e20'").ok());
    ASSERT_TRUE(transaction.commit().ok());
  }
  const auto before = all();
  const auto always = [](uint64_t) { return true; };
  auto told = run(always, true);
  ASSERT_FALSE(told.ok());
  EXPECT_NE(told.status().message().find("1e20"), std::string::npos) << told.status().message();
  EXPECT_EQ(all(), before);
  auto again = run(always, true);
  ASSERT_TRUE(again.ok()) << again.status().message();
  EXPECT_EQ(again.value(), PurgeOutcome::not_due);
}

// What cannot be read today cannot be read in two seconds: waiting as for a busy file cost 58 s.
TEST_P(StatsMerges, MergeTheRestBesideRowsThatCannotBeReadWithoutWaitingForThem) {
  if (std::string(GetParam()) != "sqlite") {
    GTEST_SKIP() << "PostgreSQL's column takes no such value";
  }
  TestStore& store = open_store(11);
  for (int64_t days_ago = 10; days_ago < 16; ++days_ago) add(store, ago(days_ago * kDayUs));
  const std::string bad = text(base::minute_floor_us(ago(12 * kDayUs)));
  const std::string no_time = text(base::minute_floor_us(ago(14 * kDayUs)));
  database_->run("UPDATE postback_stats SET sale_amount = 'x' WHERE minute = '" + bad +
                 "'; UPDATE postback_stats SET minute = '2020-no time' WHERE minute = '" + no_time +
                 "'");
  uint64_t longest_ns = 0;
  const auto told = run([&longest_ns](uint64_t pause_ns) {
    longest_ns = std::max(longest_ns, pause_ns);
    return pause_ns != retention::kBusyPauseNs;
  });
  EXPECT_LT(longest_ns, retention::kBusyPauseNs) << "it waited as for a busy file";
  ASSERT_FALSE(told.ok());
  EXPECT_NE(told.status().message().find("2020-no time"), std::string::npos)
      << told.status().message();
  EXPECT_EQ(counts_.stats.hours, 4);
}

INSTANTIATE_TEST_SUITE_P(Stores, StatsMerges, testing::Values("sqlite", "postgresql"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace postback::test
