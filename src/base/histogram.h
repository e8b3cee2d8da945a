// Counts of durations in buckets that grow with the value: eight to each power of two, so a
// quantile is off by at most one eighth. Fixed size, no allocation. One thread; merged by copying.
#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace postback::base {

class Histogram {
 public:
  // Any unit; values from 2^kPowerMax on fall into the last bucket.
  void add(uint64_t value) {
    ++counts_[bucket_of(value)];
    ++count_;
    sum_ += value;
  }
  void merge(const Histogram& other) {
    for (size_t i = 0; i < kBuckets; ++i) counts_[i] += other.counts_[i];
    count_ += other.count_;
    sum_ += other.sum_;
  }
  // The upper bound of the bucket that holds the quantile (0 < quantile <= 1); 0 when empty. By the
  // nearest rank: so many of the values are at most as large. Of few values p99 is the largest.
  uint64_t quantile(double quantile) const {
    if (count_ == 0) return 0;
    const auto rank = static_cast<uint64_t>(std::ceil(quantile * static_cast<double>(count_)));
    uint64_t seen = 0;
    for (size_t i = 0; i < kBuckets; ++i) {
      seen += counts_[i];
      if (seen >= rank) return upper_bound_of(i);
    }
    return upper_bound_of(kBuckets - 1);
  }
  // How many values are at most `bound`; exact when the bound is a power of two minus one.
  uint64_t count_up_to(uint64_t bound) const {
    uint64_t seen = 0;
    for (size_t i = 0; i < kBuckets && upper_bound_of(i) <= bound; ++i) seen += counts_[i];
    return seen;
  }
  uint64_t count() const { return count_; }
  uint64_t sum() const { return sum_; }

 private:
  static constexpr size_t kSubBits = 3;
  static constexpr size_t kSub = size_t{1} << kSubBits;
  static constexpr size_t kPowerMax = 36;  // 2^36 microseconds: 19 hours.
  static constexpr size_t kBuckets = (kPowerMax - kSubBits + 1) * kSub;

  static size_t bucket_of(uint64_t value) {
    if (value < kSub) return static_cast<size_t>(value);
    const auto power = static_cast<size_t>(std::bit_width(value)) - 1;
    if (power >= kPowerMax) return kBuckets - 1;
    const size_t sub = static_cast<size_t>(value >> (power - kSubBits)) - kSub;
    return (power - kSubBits + 1) * kSub + sub;
  }
  static uint64_t upper_bound_of(size_t bucket) {
    if (bucket < kSub) return bucket;
    const size_t power = bucket / kSub + kSubBits - 1;
    const uint64_t sub = bucket % kSub;
    return ((kSub + sub + 1) << (power - kSubBits)) - 1;
  }

  std::array<uint64_t, kBuckets> counts_{};
  uint64_t count_ = 0;
  uint64_t sum_ = 0;
};

}  // namespace postback::base
