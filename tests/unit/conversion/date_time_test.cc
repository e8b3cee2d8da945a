#include "conversion/date_time.h"

#include <gtest/gtest.h>

#include <string>

#include "base/time.h"

namespace postback::conversion {
namespace {

// The instant as ISO 8601 in UTC, or why there is none.
std::string parsed(std::string_view text, std::string_view zone_name = "UTC") {
  const TimeZone zone = TimeZone::find(zone_name).take();
  int64_t time_us = -1;
  const DateFault fault = parse_date_time(text, zone, &time_us);
  if (fault != DateFault::none) {
    EXPECT_EQ(time_us, -1) << text;
    return std::string(date_fault_text(fault));
  }
  std::string out;
  base::append_iso8601(&out, time_us);
  return out;
}
constexpr const char* kFormat = "is not a date in a known form";
constexpr const char* kRange = "is not a date that exists";
constexpr const char* kYears = "lies before 1970 or after 9999";

TEST(DateTime, ReadsTheFormsOfPartners) {
  EXPECT_EQ(parsed("2025-01-15"), "2025-01-15T00:00:00Z");
  EXPECT_EQ(parsed("2025-01-15 10:20:30"), "2025-01-15T10:20:30Z");
  EXPECT_EQ(parsed("2025-01-15T10:20:30"), "2025-01-15T10:20:30Z");
  EXPECT_EQ(parsed("2025-01-15t10:20:30z"), "2025-01-15T10:20:30Z");
  EXPECT_EQ(parsed("2025-01-15 10:20"), "2025-01-15T10:20:00Z");
  EXPECT_EQ(parsed("  2025-01-15  "), "2025-01-15T00:00:00Z");
}

TEST(DateTime, ReadsFractionsDownToTheMicrosecond) {
  EXPECT_EQ(parsed("2025-01-15T10:20:30.5"), "2025-01-15T10:20:30.500000Z");
  EXPECT_EQ(parsed("2025-01-15T10:20:30,123Z"), "2025-01-15T10:20:30.123000Z");
  EXPECT_EQ(parsed("2025-01-15T10:20:30.123456789Z"), "2025-01-15T10:20:30.123456Z");
  EXPECT_EQ(parsed("2025-01-15T10:20:30.1234567890Z"), kFormat);
  EXPECT_EQ(parsed("2025-01-15T10:20:30."), kFormat);
}

TEST(DateTime, ReadsZonesAndLetsThemWinOverThePartners) {
  for (const char* text :
       {"2025-01-15T10:20:30+08:00", "2025-01-15T10:20:30+0800", "2025-01-15T10:20:30+08",
        "2025-01-15 10:20:30 +08:00", "2025-01-15 10:20:30 08:00", "2025-01-14T22:20:30-04:00",
        "2025-01-15T02:20:30Z"}) {
    EXPECT_EQ(parsed(text, "America/New_York"), "2025-01-15T02:20:30Z") << text;
  }
  EXPECT_EQ(parsed("2025-01-15T10:20:30-03:30"), "2025-01-15T13:50:30Z");
}

TEST(DateTime, ReadsEpochsByTheirCountOfDigits) {
  EXPECT_EQ(parsed("1736936430"), "2025-01-15T10:20:30Z");
  EXPECT_EQ(parsed("1736936430123"), "2025-01-15T10:20:30.123000Z");
  EXPECT_EQ(parsed("1736936430123456"), "2025-01-15T10:20:30.123456Z");
  EXPECT_EQ(parsed("999999999"), "2001-09-09T01:46:39Z");
  EXPECT_EQ(parsed("1736936430", "Asia/Taipei"), "2025-01-15T10:20:30Z");
  for (const char* text : {"0", "20250115", "17369364301", "20250115102030", "17369364301234567",
                           "-1736936430", "1736936430.5"}) {
    EXPECT_EQ(parsed(text), kFormat) << text;
  }
}

TEST(DateTime, RefusesWhatIsNotExactlyAForm) {
  for (const char* text : {"",
                           " ",
                           "yesterday",
                           "2025",
                           "2025-01",
                           "2025-1-15",
                           "2025-01-5",
                           "25-01-15",
                           "2025/01/15",
                           "15-01-2025",
                           "01/15/2025",
                           "2025-01-15T",
                           "2025-01-15T10",
                           "2025-01-15T1:20",
                           "2025-01-15T10:20:",
                           "2025-01-15T10:20:3",
                           "2025-01-15Z",
                           "2025-01-15+08:00",
                           "2025-01-15T10:20:30X",
                           "2025-01-15T10:20:30+",
                           "2025-01-15T10:20:30+8",
                           "2025-01-15T10:20:30+08:0",
                           "2025-01-15T10:20:30+08:60",
                           "2025-01-15T10:20:30+15:00",
                           "2025-01-15T10:20:30 UTC",
                           "2025-01-15T10:20:30ZZ",
                           "2025-01-15  10:20:30",
                           "-2025-01-15",
                           "+2025-01-15",
                           "２０２５-01-15"}) {
    EXPECT_EQ(parsed(text), kFormat) << text;
  }
}

TEST(DateTime, RefusesNumbersOutOfTheirRange) {
  for (const char* text : {"2025-00-15", "2025-13-15", "2025-01-00", "2025-01-32", "2025-04-31",
                           "2025-02-29", "2100-02-29", "0000-00-00 00:00:00", "2025-01-15 24:00:00",
                           "2025-01-15 10:60:00", "2025-01-15 23:59:60", "2025-99-99T99:99:99Z"}) {
    EXPECT_EQ(parsed(text), kRange) << text;
  }
  EXPECT_EQ(parsed("2024-02-29"), "2024-02-29T00:00:00Z");
  EXPECT_EQ(parsed("2000-02-29"), "2000-02-29T00:00:00Z");
}

TEST(DateTime, HoldsTheYearsFrom1970To9999) {
  EXPECT_EQ(parsed("1970-01-01"), "1970-01-01T00:00:00Z");
  EXPECT_EQ(parsed("9999-12-31 23:59:59.999999"), "9999-12-31T23:59:59.999999Z");
  EXPECT_EQ(parsed("1969-12-31 23:59:59"), kYears);
  EXPECT_EQ(parsed("0001-01-01"), kYears);
  EXPECT_EQ(parsed("1970-01-01T00:00:00+08:00"), kYears);
  EXPECT_EQ(parsed("9999-12-31T23:59:59-08:00"), kYears);
  EXPECT_EQ(parsed("1970-01-01", "Asia/Taipei"), kYears);
}

TEST(DateTime, ReadsLocalTimesWithTheOffsetOfTheirSeason) {
  EXPECT_EQ(parsed("2025-01-15 12:00:00", "America/New_York"), "2025-01-15T17:00:00Z");
  EXPECT_EQ(parsed("2025-07-15 12:00:00", "America/New_York"), "2025-07-15T16:00:00Z");
  EXPECT_EQ(parsed("2025-07-15 12:00:00", "+08:00"), "2025-07-15T04:00:00Z");
}

}  // namespace
}  // namespace postback::conversion
