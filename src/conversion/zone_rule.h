// The rule by which the clocks of a zone change in every year, as the last line of a zone file says
// it: the TZ text of POSIX with the extensions of RFC 9636 section 3.3.1, for example
// "EST5EDT,M3.2.0,M11.1.0" or "<+08>-8". Immutable; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace postback::conversion {

class ZoneRule {
 public:
  // Nothing when `text` is not such a rule, the whole of it.
  static std::optional<ZoneRule> parse(std::string_view text);

  // What holds at a local time: the offset from UTC by which it is read, in seconds, east positive,
  // and from which local time on. The choice in gaps and overlaps is that of TimeZone.
  struct State {
    int64_t local_from_s;  // Seconds as if it were UTC; INT64_MIN: always.
    int32_t offset_s;
  };
  State at(int64_t local_s) const;

 private:
  friend class ZoneRuleParser;

  // A day of a year, and the time of it.
  struct YearTime {
    enum class Kind : uint8_t {
      day_1_to_365,      // "Jn": 29 February is never counted.
      day_0_to_365,      // "n": it is.
      weekday_of_month,  // "Mm.w.d": the w-th weekday d of month m; week 5 is the last.
    };
    Kind kind = Kind::day_0_to_365;
    int day = 0;
    int month = 0;
    int week = 0;
    int weekday = 0;  // 0: Sunday.
    int32_t time_s = 2 * 3600;

    int64_t in_year(int64_t year) const;  // Seconds as if it were UTC.
  };

  int32_t standard_s_ = 0;
  bool has_summer_ = false;
  int32_t summer_s_ = 0;
  YearTime summer_begins_;  // By the clock of standard time.
  YearTime summer_ends_;    // By the clock of summer time.
};

}  // namespace postback::conversion
