#include "base/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace postback::base {
namespace {

TEST(Histogram, AnEmptyOneHasNoQuantiles) {
  const Histogram histogram;
  EXPECT_EQ(histogram.quantile(0.5), 0u);
  EXPECT_EQ(histogram.count(), 0u);
}

TEST(Histogram, SmallValuesAreExact) {
  Histogram histogram;
  for (uint64_t value = 1; value <= 7; ++value) histogram.add(value);
  EXPECT_EQ(histogram.quantile(0.01), 1u);
  EXPECT_EQ(histogram.quantile(0.5), 4u);
  EXPECT_EQ(histogram.quantile(1.0), 7u);
  EXPECT_EQ(histogram.sum(), 28u);
}

TEST(Histogram, AQuantileIsNeverBelowTheTrueOneAndAtMostAnEighthAbove) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  std::lognormal_distribution<double> distribution(7, 2);
  Histogram histogram;
  std::vector<uint64_t> values(10'000);
  for (uint64_t& value : values) {
    value = static_cast<uint64_t>(distribution(random));
    histogram.add(value);
  }
  std::sort(values.begin(), values.end());
  for (const double quantile : {0.01, 0.5, 0.9, 0.99, 0.999}) {
    const auto rank = static_cast<size_t>(std::ceil(quantile * static_cast<double>(values.size())));
    const uint64_t exact = values[rank - 1];
    EXPECT_GE(histogram.quantile(quantile), exact) << quantile;
    EXPECT_LE(histogram.quantile(quantile), exact + exact / 8 + 1) << quantile;
  }
}

TEST(Histogram, OfFewValuesTheLargestIsP99) {
  Histogram histogram;
  for (const uint64_t value : {1, 6, 2}) histogram.add(value);
  EXPECT_EQ(histogram.quantile(0.99), 6u);
  EXPECT_EQ(histogram.quantile(0.5), 2u);
  histogram.add(7);
  EXPECT_EQ(histogram.quantile(0.5), 2u);
}

TEST(Histogram, CountsUpToAPowerOfTwoAreExact) {
  Histogram histogram;
  for (uint64_t value = 0; value < 5000; ++value) histogram.add(value);
  EXPECT_EQ(histogram.count_up_to(1023), 1024u);
  EXPECT_EQ(histogram.count_up_to(4095), 4096u);
}

TEST(Histogram, ValuesBeyondTheLastBucketAreCountedThere) {
  Histogram histogram;
  histogram.add(UINT64_MAX);
  EXPECT_EQ(histogram.count(), 1u);
  EXPECT_GT(histogram.quantile(0.5), uint64_t{1} << 35);
}

TEST(Histogram, MergingAddsCounts) {
  Histogram one;
  Histogram two;
  one.add(3);
  two.add(3);
  two.add(100);
  one.merge(two);
  EXPECT_EQ(one.count(), 3u);
  EXPECT_EQ(one.sum(), 106u);
  EXPECT_EQ(one.quantile(0.5), 3u);
}

}  // namespace
}  // namespace postback::base
