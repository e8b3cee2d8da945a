#include "conversion/time_zone.h"

#include <gmock/gmock.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <string>

#include "base/time.h"
#include "zone_folder.h"

namespace postback::conversion {
namespace {

using testing::HasSubstr;

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
  for (const char* zone : {"",
                           "Mars/Olympus",
                           "asia/taipei",
                           "+8",
                           "+25:00",
                           "../../etc/passwd",
                           "/usr/share/zoneinfo/UTC",
                           "UTC+8",
                           "libc:localtime",
                           "localtime",
                           "file:/usr/share/zoneinfo/Asia/Taipei",
                           "../zoneinfo/Asia/Taipei",
                           "Asia/../Asia/Taipei",
                           "Asia//Taipei",
                           "./Asia/Taipei",
                           "Asia/",
                           "Asia",
                           "tzdata.zi",
                           ".",
                           "Asia/Taipei\n"}) {
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

TEST(TimeZone, GoesOnChangingTheClocksAfter2037) {
  // The tables of the files end in 2037; behind them their last line is the rule.
  EXPECT_EQ(utc("America/New_York", local(2037, 7, 1, 12, 0)), "2037-07-01T16:00:00Z");
  EXPECT_EQ(utc("America/New_York", local(2038, 7, 1, 12, 0)), "2038-07-01T16:00:00Z");
  EXPECT_EQ(utc("America/New_York", local(2038, 1, 1, 12, 0)), "2038-01-01T17:00:00Z");
  EXPECT_EQ(utc("Australia/Sydney", local(2100, 1, 1, 12, 0)), "2100-01-01T01:00:00Z");
  EXPECT_EQ(utc("Europe/Paris", local(9999, 7, 1, 12, 0)), "9999-07-01T10:00:00Z");
  // The last Sunday of March 2040 is the 25th: 02:00 to 03:00 does not exist in Paris.
  EXPECT_EQ(utc("Europe/Paris", local(2040, 3, 25, 2, 30)), "2040-03-25T01:30:00Z");
  EXPECT_EQ(utc("Europe/Paris", local(2040, 10, 28, 2, 30)), "2040-10-28T00:30:00Z");
}

TEST(TimeZone, AnswersForEveryYear) {
  EXPECT_EQ(utc("Asia/Taipei", local(1970, 1, 1, 8, 0)), "1970-01-01T00:00:00Z");
  EXPECT_EQ(utc("Asia/Taipei", local(9999, 12, 31, 8, 0)), "9999-12-31T00:00:00Z");
}

TEST(TimeZone, ReadsItsFileOnceAndNeverWhenADateIsRead) {
  ZoneFolder folder;
  folder.write("Asia/Taipei", zone_bytes(std::string(kSystemZones) + "/Asia/Taipei"));
  const TimeZone zone = TimeZone::find("Asia/Taipei").take();
  std::filesystem::remove_all(folder.path() + "/Asia");
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{0, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  const int64_t utc_us = zone.utc_us(local(2025, 1, 15, 8, 0));
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(utc_us, local(2025, 1, 15, 0, 0));
}

TEST(TimeZone, TellsAFileThatCannotBeReadFromANameThatIsNotKnownAndReadsItLater) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{0, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  const auto without_descriptors = TimeZone::find("Asia/Tokyo");
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_FALSE(without_descriptors.ok());
  EXPECT_THAT(without_descriptors.status().message(), HasSubstr("Too many open files"));
  EXPECT_THAT(without_descriptors.status().message(), HasSubstr("ulimit -n"));
  EXPECT_TRUE(TimeZone::find("Asia/Tokyo").ok());
}

TEST(TimeZone, RefusesADamagedFileAndReadsItOnceItIsMended) {
  ZoneFolder folder;
  const std::string whole = zone_bytes(std::string(kSystemZones) + "/America/New_York");
  for (size_t size = 0; size < whole.size(); ++size) {
    folder.write("America/New_York", whole.substr(0, size));
    const auto zone = TimeZone::find("America/New_York");
    ASSERT_FALSE(zone.ok()) << size;
    ASSERT_THAT(zone.status().message(), HasSubstr(folder.path() + "/America/New_York is damaged"));
  }
  folder.write("America/New_York", std::string(1 << 20, 'x'));
  EXPECT_FALSE(TimeZone::find("America/New_York").ok());
  folder.write("America/New_York", whole);
  EXPECT_TRUE(TimeZone::find("America/New_York").ok());
}

TEST(TimeZone, NeverWaitsForAFileThatIsAPipe) {
  ZoneFolder folder;
  ASSERT_EQ(mkfifo((folder.path() + "/Pipe").c_str(), 0600), 0);
  EXPECT_FALSE(TimeZone::find("Pipe").ok());
}

}  // namespace
}  // namespace postback::conversion
