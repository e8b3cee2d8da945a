// Dates as partners write them:
//
//   2025-01-15                                   midnight in the partner's zone
//   2025-01-15 10:20   2025-01-15 10:20:30       in the partner's zone; also with 'T' between
//   … with a fraction of 1 to 9 digits behind '.' or ',' (what is below a microsecond is cut off)
//   … with a zone behind: Z, +08:00, +0800 or +08, directly or after one space
//   1736936430         9 or 10 digits: seconds since the Unix epoch
//   1736936430123      12 or 13 digits: milliseconds
//   1736936430123456   15 or 16 digits: microseconds
//
// Other counts of digits could be two things and are refused. Nothing is guessed: every number must
// be in its range (no second 60, no hour 24), the day must exist, the instant must lie from 1970 to
// the end of 9999.
#pragma once

#include <cstdint>
#include <string_view>

#include "conversion/time_zone.h"

namespace postback::conversion {

enum class DateFault : uint8_t {
  none,
  format,        // None of the forms above.
  range,         // A number out of its range, or a day that the month does not have.
  out_of_years,  // Before 1970 or after 9999.
};

// Text for a person: "is not a date in a known form", to be put behind the name.
std::string_view date_fault_text(DateFault fault);

// `text` may have spaces around. Microseconds since the Unix epoch to *time_us, unless it fails.
[[nodiscard]] DateFault parse_date_time(std::string_view text, const TimeZone& zone,
                                        int64_t* time_us);

}  // namespace postback::conversion
