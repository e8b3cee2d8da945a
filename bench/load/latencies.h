// Counts of durations, fine enough to compare runs: 64 buckets to each power of two, so a quantile
// is off by at most 1/64. Fixed size, no allocation while it counts. One thread.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace postback::load {

class Latencies {
 public:
  Latencies() : counts_(kBuckets) {}

  // Microseconds; from 2^kPowerMax on they share the last bucket.
  void add(uint64_t us) {
    ++counts_[bucket_of(us)];
    ++count_;
    max_us_ = std::max(max_us_, us);
  }
  // The upper bound, in milliseconds, of the bucket that holds the quantile (0 < quantile <= 1),
  // and never more than the greatest duration; 0 when nothing was added.
  double quantile_ms(double quantile) const {
    if (count_ == 0) return 0;
    const auto rank = static_cast<uint64_t>(quantile * static_cast<double>(count_ - 1)) + 1;
    uint64_t seen = 0;
    size_t bucket = 0;
    while (seen + counts_[bucket] < rank) seen += counts_[bucket++];
    return static_cast<double>(std::min(upper_bound_of(bucket), max_us_)) / 1000;
  }
  double max_ms() const { return static_cast<double>(max_us_) / 1000; }
  uint64_t count() const { return count_; }
  void clear() { *this = Latencies(); }

 private:
  static constexpr size_t kSubBits = 6;
  static constexpr size_t kSub = size_t{1} << kSubBits;
  static constexpr size_t kPowerMax = 32;  // 2^32 microseconds: 71 minutes.
  static constexpr size_t kBuckets = (kPowerMax - kSubBits + 1) * kSub;

  static size_t bucket_of(uint64_t us) {
    if (us < kSub) return static_cast<size_t>(us);
    const auto power = static_cast<size_t>(std::bit_width(us)) - 1;
    if (power >= kPowerMax) return kBuckets - 1;
    return (power - kSubBits + 1) * kSub + static_cast<size_t>(us >> (power - kSubBits)) - kSub;
  }
  static uint64_t upper_bound_of(size_t bucket) {
    if (bucket < kSub) return bucket;
    const size_t power = bucket / kSub + kSubBits - 1;
    return ((kSub + bucket % kSub + 1) << (power - kSubBits)) - 1;
  }

  std::vector<uint64_t> counts_;
  uint64_t count_ = 0;
  uint64_t max_us_ = 0;
};

}  // namespace postback::load
