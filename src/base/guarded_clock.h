// The clock of the cores: CLOCK_REALTIME as far as it is believed (time_guard.h). The bounds are
// set by one thread about once a second and read by any, which costs a load and a comparison per
// call.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "base/time.h"
#include "base/time_guard.h"

namespace postback::base {

class GuardedClock final : public Clock {
 public:
  int64_t wall_us() const override {
    const int64_t now_us = system_clock().wall_us() + offset_us_.load(std::memory_order_relaxed);
    // The clock was set back far since the last look; time goes on from there.
    return std::max(now_us, floor_us_.load(std::memory_order_relaxed));
  }
  uint64_t monotonic_ns() const override { return system_clock().monotonic_ns(); }
  // Outside of what is sure: the last sure time itself, so that rows that are received by a right
  // clock later stand behind.
  int64_t id_time_us(int64_t wall_us) const override {
    const int64_t sure_us = id_time_us_.load(std::memory_order_relaxed);
    const bool is_sure =
        sure_us == 0 || (wall_us >= sure_us - kToleranceUs && wall_us <= sure_us + kToleranceUs);
    return is_sure ? wall_us : sure_us;
  }

  void set(const TimeView& view) {
    offset_us_.store(view.believed_us - view.wall_us, std::memory_order_relaxed);
    floor_us_.store(view.believed_us - kBehindUs, std::memory_order_relaxed);
    id_time_us_.store(view.id_time_us, std::memory_order_relaxed);
  }

 private:
  std::atomic<int64_t> offset_us_{0};
  std::atomic<int64_t> floor_us_{INT64_MIN};
  std::atomic<int64_t> id_time_us_{0};  // 0: not set yet.
};

}  // namespace postback::base
