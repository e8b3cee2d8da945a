// The contract of the store seam (postback/store.h), over both of its backends: statistics and
// pages of conversions.

#include <gtest/gtest.h>

#include <deque>
#include <iostream>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "store_harness.h"

namespace postback::test {
namespace {

using StoreReads = StoreTest;

TEST_P(StoreReads, GiveZerosOnAFreshDatabase) {
  TestStore& store = stores_.emplace_back(&core_, options());
  const StoreRead stats = store.stats();
  EXPECT_TRUE(stats.ok) << stats.error;
  EXPECT_EQ(stats.stats.conversion_count, 0);
  EXPECT_EQ(stats.stats.duplicate_count, 0);
  EXPECT_EQ(stats.stats.quarantined_count, 0);
  EXPECT_EQ(stats.stats.sale_amount, Decimal());
  EXPECT_EQ(stats.stats.earning, Decimal());
  EXPECT_FALSE(stats.stats.first_conversion_at_us.has_value());
  EXPECT_FALSE(stats.stats.last_conversion_at_us.has_value());
  const StoreRead page = store.conversions(10);
  EXPECT_TRUE(page.ok) << page.error;
  EXPECT_TRUE(page.conversions.empty());
}

TEST_P(StoreReads, CountExactlyAcrossBatchesMinutesAndReopening) {
  for (int round = 0; round < 2; ++round) {
    TestStore& store = open_store();
    for (int minute = 0; minute < 3; ++minute) {
      TestBatch batch;
      for (int i = 0; i < 4; ++i) {
        Conversion& conversion =
            batch.add(std::to_string(round) + std::to_string(minute) + std::to_string(i));
        conversion.received_at_us = kSomeTimeUs + minute * kMinuteUs + i * 20'000'000;
        conversion.usd_sale_amount = decimal("10.10");
        conversion.usd_earning = decimal("-0.005");
      }
      ASSERT_EQ(store.commit(batch), BatchResult::committed) << batch.error;
    }
    const StoreRead all = store.stats();
    EXPECT_EQ(all.stats.conversion_count, 12 * (round + 1));
    EXPECT_EQ(all.stats.sale_amount.to_string(), round == 0 ? "121.20" : "242.40");
    EXPECT_EQ(all.stats.earning.to_string(), round == 0 ? "-0.060" : "-0.120");
    EXPECT_EQ(all.stats.first_conversion_at_us, kSomeTimeUs);
    EXPECT_EQ(all.stats.last_conversion_at_us, kSomeTimeUs + 3 * kMinuteUs);
    // From the minute that holds the time on: of minute 0 came 10:20:30 and 10:20:50, so two rows
    // of each round are older.
    const StoreRead later = store.stats(kSomeTimeUs + kMinuteUs + 1);
    EXPECT_EQ(later.stats.conversion_count, 10 * (round + 1));
    EXPECT_EQ(later.stats.first_conversion_at_us, kSomeTimeUs + 40'000'000);
    EXPECT_EQ(store.stats(kSomeTimeUs + 4 * kMinuteUs).stats.conversion_count, 0);
    EXPECT_EQ(store.stats(0, 2).stats.conversion_count, 0);
    store.close();
  }
}

TEST_P(StoreReads, SumUpTwoWritersOfOneDatabase) {
  TestStore& one = open_store(1);
  TestStore& two = open_store(2);
  TestBatch first;
  first.add("a").usd_sale_amount = decimal("1.5");
  ASSERT_EQ(one.commit(first), BatchResult::committed) << first.error;
  TestBatch second;
  second.add("b").usd_sale_amount = decimal("2.25");
  second.add("c").received_at_us = kSomeTimeUs + 1;
  ASSERT_EQ(two.commit(second), BatchResult::committed) << second.error;
  for (TestStore* store : {&one, &two}) {
    const StoreRead read = store->stats();
    EXPECT_EQ(read.stats.conversion_count, 3);
    EXPECT_EQ(read.stats.sale_amount.to_string(), "3.75");
    EXPECT_EQ(read.stats.last_conversion_at_us, kSomeTimeUs + 1);
  }
  EXPECT_EQ(database_->value("SELECT count(*) FROM postback_stats"), "2");
}

TEST_P(StoreReads, CountDuplicatesAndQuarantined) {
  TestStore& store = open_store();
  TestBatch first;
  first.add("a").usd_sale_amount = decimal("1");
  first.add_quarantined(Reason::amount_invalid);
  first.add_quarantined(Reason::invalid_json);
  first.duplicate_count = 5;  // Recognised in memory.
  first.duplicates_at_us = kSomeTimeUs;
  ASSERT_EQ(store.commit(first), BatchResult::committed) << first.error;
  TestBatch second;
  second.add("a").usd_sale_amount = decimal("1");  // Recognised by the database.
  ASSERT_EQ(store.commit(second), BatchResult::committed) << second.error;
  TestBatch third;  // Nothing but a count.
  third.duplicate_count = 7;
  third.duplicates_at_us = kSomeTimeUs + kMinuteUs;
  ASSERT_EQ(store.commit(third), BatchResult::committed) << third.error;
  const StoreRead read = store.stats();
  EXPECT_EQ(read.stats.conversion_count, 1);
  EXPECT_EQ(read.stats.duplicate_count, 13);
  EXPECT_EQ(read.stats.quarantined_count, 2);
  EXPECT_EQ(read.stats.sale_amount.to_string(), "1");
  EXPECT_EQ(store.stats(kSomeTimeUs + kMinuteUs).stats.duplicate_count, 7);
  EXPECT_EQ(store.stats(0, 2).stats.duplicate_count, 0);
}

TEST_P(StoreReads, SumTenThousandRandomAmountsToTheCent) {
  const auto seed = std::random_device{}();
  RecordProperty("seed", std::to_string(seed));
  std::cout << "seed " << seed << '\n';
  std::mt19937_64 random(seed);
  std::uniform_int_distribution<int64_t> cents(-10'000'000, 1'000'000'000);
  std::uniform_int_distribution<int64_t> minute(0, 20);
  TestStore& store = open_store();
  int64_t sale_cents = 0;  // The independent computation: whole cents.
  int64_t earning_cents = 0;
  std::deque<TestBatch> batches(10);
  for (TestBatch& batch : batches) {
    for (int i = 0; i < 1000; ++i) {
      const int64_t sale = cents(random);
      const int64_t earning = cents(random);
      sale_cents += sale;
      earning_cents += earning;
      Conversion& conversion = batch.add("r" + std::to_string(next_id()));
      conversion.received_at_us = kSomeTimeUs + minute(random) * kMinuteUs;
      conversion.usd_sale_amount = Decimal{.units = sale, .scale = 2};
      // The same amount with more digits, as it may come.
      conversion.usd_earning = i % 2 == 0 ? Decimal{.units = earning, .scale = 2}
                                          : Decimal{.units = earning * 1000, .scale = 5};
    }
    store.submit(batch);
  }
  ASSERT_TRUE(core_.run_until([&] { return store.batches_done.size() == batches.size(); }));
  const StoreRead read = store.stats();
  EXPECT_EQ(read.stats.conversion_count, 10'000) << "seed " << seed;
  EXPECT_EQ(read.stats.sale_amount, (Decimal{.units = sale_cents, .scale = 2})) << "seed " << seed;
  EXPECT_EQ(read.stats.earning, (Decimal{.units = earning_cents, .scale = 2})) << "seed " << seed;
}

TEST_P(StoreReads, PageNewestFirstAndCoverEachRowOnce) {
  TestStore& store = open_store();
  std::set<int64_t> expected[2];
  for (int n = 0; n < 5; ++n) {  // 2500 rows of partner 1, and as many of partner 2 between them.
    TestBatch batches[2];
    batches[1].partner_id = 2;
    for (int i = 0; i < 1000; ++i) {
      const int partner = i % 2 + 1;
      const Conversion& conversion =
          batches[partner - 1].add("p" + std::to_string(next_id()), partner);
      expected[partner - 1].insert(conversion.id);
    }
    for (TestBatch& batch : batches) {
      ASSERT_EQ(store.commit(batch), BatchResult::committed) << batch.error;
    }
  }
  for (const int partner : {1, 2}) {
    std::set<int64_t> seen;
    int64_t before_id = INT64_MAX;
    while (true) {
      const StoreRead page = store.conversions(700, before_id, partner);
      ASSERT_TRUE(page.ok) << page.error;
      if (page.conversions.empty()) break;
      for (const StoredConversion& stored : page.conversions) {
        EXPECT_LT(stored.id, before_id);
        before_id = stored.id;
        EXPECT_TRUE(seen.insert(stored.id).second);
      }
      ASSERT_LE(seen.size(), 2500u);
    }
    EXPECT_EQ(seen, expected[partner - 1]);
  }
}

TEST_P(StoreReads, GiveAThousandRowsAtMost) {
  TestStore& store = open_store();
  std::deque<TestBatch> batches(2);
  for (TestBatch& batch : batches) {
    for (int i = 0; i < 600; ++i) batch.add("m" + std::to_string(next_id()));
    ASSERT_EQ(store.commit(batch), BatchResult::committed) << batch.error;
  }
  EXPECT_EQ(store.conversions(100'000).conversions.size(), 1000u);
  EXPECT_EQ(store.conversions(1).conversions.size(), 1u);
}

// A page of 1000 rows of 60 KB was 369 MB.
TEST_P(StoreReads, EndAPageWithTheRowThatReachesItsBytes) {
  TestStore& store = open_store();
  const std::string raw_data = "{\"a\":\"" + std::string(60'000, 'x') + "\"}";
  std::set<int64_t> expected;
  for (int n = 0; n < 3; ++n) {
    TestBatch batch;
    for (int i = 0; i < 20; ++i) {
      Conversion& conversion = batch.add("b" + std::to_string(next_id()));
      if (i % 4 != 0) conversion.set(Field::raw_data, raw_data);
      expected.insert(conversion.id);
    }
    ASSERT_EQ(store.commit(batch), BatchResult::committed) << batch.error;
  }
  std::set<int64_t> seen;
  int64_t before_id = INT64_MAX;
  for (int page_count = 1;; ++page_count) {
    const StoreRead page = store.conversions(1000, before_id);
    ASSERT_TRUE(page.ok) << page.error;
    int64_t bytes = 0;
    for (const StoredConversion& stored : page.conversions) {
      EXPECT_LT(bytes, kPageBytesMax) << "a row behind the end";
      bytes += page_row_bytes(stored);
      EXPECT_LT(stored.id, before_id);
      before_id = stored.id;
      seen.insert(stored.id);
    }
    if (!page.more) {
      EXPECT_EQ(page_count, 3);
      EXPECT_LT(bytes, kPageBytesMax);
      break;
    }
    EXPECT_GE(bytes, kPageBytesMax);
    ASSERT_LT(page_count, 5);
  }
  EXPECT_EQ(seen, expected);
}

TEST_P(StoreReads, TellWhetherThereMayBeMore) {
  TestStore& store = open_store();
  TestBatch batch;
  for (int i = 0; i < 5; ++i) batch.add("t" + std::to_string(i));
  ASSERT_EQ(store.commit(batch), BatchResult::committed) << batch.error;
  EXPECT_TRUE(store.conversions(4).more);
  EXPECT_TRUE(store.conversions(5).more) << "the next page tells";
  EXPECT_FALSE(store.conversions(6).more);
}

TEST_P(StoreReads, RunBesideTheBatches) {
  TestStore& store = open_store();
  std::deque<TestBatch> batches;
  std::deque<StoreRead> reads;
  int64_t last_count = 0;
  for (int n = 0; n < 50; ++n) {
    TestBatch& batch = batches.emplace_back();
    for (int i = 0; i < 20; ++i) batch.add("w" + std::to_string(next_id()));
    store.submit(batch);
    StoreRead& read = reads.emplace_back();
    read.partner_id = 1;
    store->read(read);
    core_.turn(std::chrono::milliseconds(0));
  }
  ASSERT_TRUE(core_.run_until([&] {
    return store.batches_done.size() == batches.size() && store.reads_done.size() == reads.size();
  }));
  for (const StoreRead& read : reads) {
    EXPECT_TRUE(read.ok) << read.error;
    EXPECT_EQ(read.stats.conversion_count % 20, 0) << "a batch was seen half";
    EXPECT_GE(read.stats.conversion_count, last_count);
    last_count = read.stats.conversion_count;
  }
  EXPECT_EQ(store.stats().stats.conversion_count, 1000);
}

INSTANTIATE_TEST_SUITE_P(Stores, StoreReads, testing::Values("sqlite", "postgresql"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace postback::test
