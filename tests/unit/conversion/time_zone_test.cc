#include "conversion/time_zone.h"

#include <gtest/gtest.h>

#include <string>

#include "base/time.h"

namespace postback::conversion {
namespace {

constexpr int64_t kHourUs = 3'600'000'000;

int64_t local(int year, int month, int day, int hour, int minute) {
  return base::days_from_civil(year, month, day) * 24 * kHourUs + hour * kHourUs +
         minute * kHourUs / 60;
}

std::string utc(std::string_view zone, int64_t local_us) {
  std::string out;
  base::append_iso8601(&out, TimeZone::find(zone).take().utc_us(local_us));
  return out;
}

TEST(TimeZone, KnowsIanaNamesAliasesAndFixedOffsets) {
  EXPECT_EQ(utc("UTC", 0), "1970-01-01T00:00:00Z");
  EXPECT_EQ(utc("Asia/Kuala_Lumpur", local(2025, 1, 15, 8, 0)), "2025-01-15T00:00:00Z");
  EXPECT_EQ(utc("Asia/Calcutta", local(2025, 1, 15, 5, 30)), "2025-01-15T00:00:00Z");
  for (const char* zone : {"+08:00", "+0800", "+08"}) {
    EXPECT_EQ(utc(zone, local(2025, 1, 15, 8, 0)), "2025-01-15T00:00:00Z") << zone;
  }
  EXPECT_EQ(utc("-03:30", local(2025, 1, 15, 8, 0)), "2025-01-15T11:30:00Z");
}

TEST(TimeZone, RefusesUnknownNamesWithARemedy) {
  for (const char* zone : {"", "Mars/Olympus", "asia/taipei", "+8", "+25:00", "../../etc/passwd",
                           "/usr/share/zoneinfo/UTC", "UTC+8"}) {
    const auto result = TimeZone::find(zone);
    EXPECT_FALSE(result.ok()) << zone;
    EXPECT_NE(result.status().message().find("Asia/Kuala_Lumpur"), std::string::npos);
  }
}

TEST(TimeZone, ReadsATimeThatDoesNotExistWithTheOffsetBeforeTheGap) {
  // On 2025-03-09 New York's clocks went from 02:00 to 03:00.
  EXPECT_EQ(utc("America/New_York", local(2025, 3, 9, 1, 59)), "2025-03-09T06:59:00Z");
  EXPECT_EQ(utc("America/New_York", local(2025, 3, 9, 2, 30)), "2025-03-09T07:30:00Z");
  EXPECT_EQ(utc("America/New_York", local(2025, 3, 9, 3, 30)), "2025-03-09T07:30:00Z");
}

TEST(TimeZone, TakesTheEarlierOfATimeThatExistsTwice) {
  // On 2025-11-02 New York's clocks went from 02:00 back to 01:00.
  EXPECT_EQ(utc("America/New_York", local(2025, 11, 2, 1, 30)), "2025-11-02T05:30:00Z");
  EXPECT_EQ(utc("America/New_York", local(2025, 11, 2, 2, 0)), "2025-11-02T07:00:00Z");
}

TEST(TimeZone, AnswersForEveryYear) {
  EXPECT_EQ(utc("Asia/Taipei", local(1970, 1, 1, 8, 0)), "1970-01-01T00:00:00Z");
  EXPECT_EQ(utc("Asia/Taipei", local(9999, 12, 31, 8, 0)), "9999-12-31T00:00:00Z");
}

}  // namespace
}  // namespace postback::conversion
