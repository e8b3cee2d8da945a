// Why the records of one partner do not get from the journal into its database, lane by lane: for
// /health and `postbackctl journal stat`.
//
// Thread: any. A lane that is not stuck, and tells so again and again, costs the read of an atomic.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>

namespace postback::ingest {

struct Stuck {
  int64_t since_us = 0;  // Wall clock.
  std::string error;     // The database's words at the last failure.
  // The row that failed by itself; 0 and empty where no row was found to be at fault.
  int64_t row_id = 0;
  std::string conversion_id;
};

class StuckLanes {
 public:
  // `since_us` counts only where the lane was not stuck before. A row that is known to be at fault
  // stays named while its database is away for a moment.
  void set(uint32_t slice, Stuck stuck) {
    const std::lock_guard lock(mutex_);
    const auto place = lanes_.find(slice);
    if (place != lanes_.end()) {
      if (stuck.row_id == 0 && place->second.row_id != 0) return;
      stuck.since_us = place->second.since_us;
    }
    lanes_[slice] = std::move(stuck);
    any_.store(true, std::memory_order_relaxed);
  }
  void clear(uint32_t slice) {
    if (!any_.load(std::memory_order_relaxed)) return;
    const std::lock_guard lock(mutex_);
    lanes_.erase(slice);
    any_.store(!lanes_.empty(), std::memory_order_relaxed);
  }
  // The lane that is stuck for the longest time.
  std::optional<Stuck> longest() const {
    if (!any_.load(std::memory_order_relaxed)) return std::nullopt;
    const std::lock_guard lock(mutex_);
    std::optional<Stuck> longest;
    for (const auto& [slice, stuck] : lanes_) {
      if (!longest || stuck.since_us < longest->since_us) longest = stuck;
    }
    return longest;
  }

 private:
  std::atomic<bool> any_{false};
  mutable std::mutex mutex_;
  std::map<uint32_t, Stuck> lanes_;  // Under mutex_.
};

}  // namespace postback::ingest
