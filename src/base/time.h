// Times: microseconds since the Unix epoch, UTC, for what people read and databases store;
// monotonic nanoseconds for time limits. Clocks come in through the Clock seam, so tests set them.
#pragma once

#include <cstdint>
#include <string>

namespace postback::base {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual int64_t wall_us() const = 0;        // CLOCK_REALTIME.
  virtual uint64_t monotonic_ns() const = 0;  // CLOCK_MONOTONIC.
  // The time that the id of a row tells which was received then: within what is sure of the clock,
  // or rows would stand where no reader and every purge looks (guarded_clock.h).
  virtual int64_t id_time_us(int64_t wall_us) const { return wall_us; }
};

const Clock& system_clock();  // Any thread.

// Days since 1970-01-01 of a date of the proleptic Gregorian calendar; month 1 to 12.
int64_t days_from_civil(int64_t year, int month, int day);

// Appends "2025-01-15T10:20:30Z", with ".123456" before the Z when the microseconds are not zero.
void append_iso8601(std::string* out, int64_t time_us);

// The start of the minute that holds `time_us`.
constexpr int64_t minute_floor_us(int64_t time_us) {
  constexpr int64_t kMinuteUs = 60'000'000;
  return time_us - ((time_us % kMinuteUs) + kMinuteUs) % kMinuteUs;
}

}  // namespace postback::base
