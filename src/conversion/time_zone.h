// The zone of a partner's dates that carry none: an IANA name, looked up in the system's zone
// files, or a fixed offset. Immutable; any thread.
//
// A local time that does not exist (clocks went forward over it) is read with the offset that was
// in force before: 02:30 becomes 03:30. One that exists twice (clocks went back) is the earlier of
// the two. So the same text always gives the same instant.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/status.h"

namespace date {
class time_zone;
}

namespace postback::conversion {

class TimeZone {
 public:
  TimeZone() = default;  // UTC.
  // "UTC", "Z", "GMT", "+08:00", "-0330", "+08", or an IANA name such as "Asia/Kuala_Lumpur".
  // Reads the zone files: cold path only.
  static base::Result<TimeZone> find(std::string_view name);

  // From microseconds of local time, counted as if it were UTC, to UTC. No allocation.
  int64_t utc_us(int64_t local_us) const;

 private:
  const date::time_zone* zone_ = nullptr;  // Lives as long as the process; null: fixed offset.
  int64_t offset_us_ = 0;                  // East is positive.
};

// Reads "+hh:mm", "+hhmm" or "+hh" (or with '-') up to 14:00 either way, the range in use on
// Earth; the whole of `text`. False when it is something else.
bool parse_utc_offset(std::string_view text, int64_t* offset_us);

}  // namespace postback::conversion
