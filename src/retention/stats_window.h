// How exact postback_stats is by age, and where a window over it begins therefore.
//
// A row stands for a minute. When it is old the purge merges it into the row of its full hour, and
// later that into the row of its full day (UTC); the row's `minute` is the start of what it stands
// for. A window that begins within one of these begins at its start, so it holds all it promises,
// and the same before the merge as after it.
#pragma once

#include <cstdint>

#include "base/time.h"
#include "retention/limits.h"

namespace postback::retention {

enum class StatsLevel : uint8_t { hour, day };

// The start of the UTC hour or day that holds the time.
constexpr int64_t stats_floor_us(StatsLevel level, int64_t time_us) {
  const int64_t step_us = level == StatsLevel::hour ? kHourUs : kDayUs;
  return time_us - ((time_us % step_us) + step_us) % step_us;
}

// Where a window begins that is to reach back to `since_us`: never later than that.
constexpr int64_t stats_begin_us(int64_t since_us, int64_t now_us) {
  if (since_us < now_us - kStatsHoursKeptUs) return stats_floor_us(StatsLevel::day, since_us);
  if (since_us < now_us - kStatsMinutesKeptUs) return stats_floor_us(StatsLevel::hour, since_us);
  return base::minute_floor_us(since_us);
}

// Every hour (day) that ends at this time or before is to be merged. Not any into which a window
// may begin that stats_begin_us() starts at a minute (an hour).
constexpr int64_t stats_merge_before_us(StatsLevel level, int64_t now_us) {
  const int64_t kept_us = level == StatsLevel::hour ? kStatsMinutesKeptUs : kStatsHoursKeptUs;
  return stats_floor_us(level, now_us - kept_us - kStatsMergeAfterUs);
}

}  // namespace postback::retention
