// The zone of a partner's dates that carry none: an IANA name, looked up in the system's zone
// files, or a fixed offset. Immutable; any thread; copies share what was read.
//
// A local time that does not exist (clocks went forward over it) is read with the offset that was
// in force before: 02:30 becomes 03:30. One that exists twice (clocks went back) is the earlier of
// the two. So the same text always gives the same instant.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "base/status.h"
#include "conversion/zone_table.h"

namespace postback::conversion {

class TimeZone {
 public:
  TimeZone() = default;  // UTC.
  // "UTC", "Z", "GMT", "+08:00", "-0330", "+08", or an IANA name such as "Asia/Kuala_Lumpur".
  // Reads the zone's file, in /usr/share/zoneinfo or the folder that the environment variable TZDIR
  // names (as the C library does), whole and now: cold path only. An error says whether the name is
  // not known, or its file cannot be read or is damaged; it may be gone at the next call.
  static base::Result<TimeZone> find(std::string_view name);

  // From microseconds of local time, counted as if it were UTC, to UTC. No allocation, no file.
  int64_t utc_us(int64_t local_us) const;

 private:
  std::shared_ptr<const ZoneTable> table_;  // Null: fixed offset.
  int64_t offset_us_ = 0;                   // East is positive.
};

// Reads "+hh:mm", "+hhmm" or "+hh" (or with '-') up to 14:00 either way, the range in use on
// Earth; the whole of `text`. False when it is something else.
bool parse_utc_offset(std::string_view text, int64_t* offset_us);

}  // namespace postback::conversion
