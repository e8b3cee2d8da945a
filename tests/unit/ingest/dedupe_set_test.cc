#include "ingest/dedupe_set.h"

#include <gtest/gtest.h>

#include <string>

namespace postback::ingest {
namespace {

TEST(DedupeSet, RemembersWhatWasAdded) {
  DedupeSet set(1000);
  EXPECT_FALSE(set.contains(1, "conv001"));
  set.add(1, "conv001");
  EXPECT_TRUE(set.contains(1, "conv001"));
  EXPECT_FALSE(set.contains(1, "conv002"));
  EXPECT_FALSE(set.contains(1, "conv00"));
  EXPECT_EQ(set.size(), 1u);
}

TEST(DedupeSet, KeepsTheIdsOfDifferentLanesApart) {
  DedupeSet set(1000);
  set.add(1, "conv001");
  EXPECT_FALSE(set.contains(2, "conv001"));
  set.add(2, "conv001");
  EXPECT_TRUE(set.contains(2, "conv001"));
  EXPECT_EQ(set.size(), 2u);
}

TEST(DedupeSet, TwoIdsWithOneHashAreTwoIds) {
  DedupeSet set(1000);
  const uint64_t hash = DedupeSet::hash_of(1, "conv001");
  set.add(1, "conv001", hash);
  EXPECT_FALSE(set.contains(1, "conv002", hash));
  EXPECT_FALSE(set.contains(2, "conv001", hash)) << "the lane counts as much as the id";
  set.add(1, "conv002", hash);
  EXPECT_EQ(set.size(), 2u);
  EXPECT_TRUE(set.contains(1, "conv001", hash));
  EXPECT_TRUE(set.contains(1, "conv002", hash));
}

TEST(DedupeSet, AddingTwiceCountsOnce) {
  DedupeSet set(1000);
  set.add(1, "x");
  set.add(1, "x");
  EXPECT_EQ(set.size(), 1u);
}

TEST(DedupeSet, HoldsIdsOfEverySizeIncludingBytesThatAreNotText) {
  DedupeSet set(1000);
  std::string id;
  for (int size = 1; size <= 255; ++size) {
    id.push_back(static_cast<char>(size));
    set.add(7, id);
  }
  id.clear();
  for (int size = 1; size <= 255; ++size) {
    id.push_back(static_cast<char>(size));
    EXPECT_TRUE(set.contains(7, id)) << size;
  }
}

TEST(DedupeSet, NeverHoldsMoreThanItsBoundAndRemembersTheNewestHalf) {
  constexpr int kIdsMax = 10'000;
  DedupeSet set(kIdsMax);
  for (int i = 0; i < 10 * kIdsMax; ++i) {
    set.add(1, "conversion-" + std::to_string(i));
    ASSERT_LE(set.size(), static_cast<size_t>(kIdsMax));
    const int oldest_kept = std::max(0, i - kIdsMax / 2 + 1);
    ASSERT_TRUE(set.contains(1, "conversion-" + std::to_string(oldest_kept)));
  }
  EXPECT_FALSE(set.contains(1, "conversion-0"));
}

TEST(DedupeSet, TakesAtMost64BytesForAnIdOfUsualSize) {
  constexpr int kIds = 1'000'000;
  DedupeSet set(4 * kIds);
  for (int i = 0; i < kIds; ++i) set.add(1, "conversion-0123456789-" + std::to_string(i));
  EXPECT_EQ(set.size(), static_cast<size_t>(kIds));
  EXPECT_LE(set.memory_bytes() / kIds, 64u);
}

}  // namespace
}  // namespace postback::ingest
