// What zone files say, against Abseil's reading of the same files, and files that are damaged.
#include "conversion/zone_table.h"

#include <absl/time/time.h>
#include <gmock/gmock.h>

#include <filesystem>
#include <string>
#include <vector>

#include "zone_folder.h"

namespace postback::conversion {
namespace {

using testing::HasSubstr;

ZoneTable table_of(const std::string& path) {
  auto table = ZoneTable::parse(zone_bytes(path));
  EXPECT_TRUE(table.ok()) << path << " " << table.status().message();
  return table.ok() ? table.take() : ZoneTable();
}

int32_t abseil_offset_s(const absl::TimeZone& zone, int64_t local_s) {
  // The instant by the offset before a gap, and the earlier one of an overlap.
  const absl::CivilSecond civil = absl::CivilSecond(1970, 1, 1) + local_s;
  return static_cast<int32_t>(local_s - absl::ToUnixSeconds(zone.At(civil).pre));
}

// Every zone of the folder, around each change of its clocks from 1970 to 2120, and in times that
// no change is near, up to the year 9999.
size_t expect_agreement(const std::string& folder) {
  size_t count = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    const std::string path = entry.path();
    if (!entry.is_regular_file() || entry.is_symlink() ||
        path.find("/right/") != std::string::npos || zone_bytes(path).substr(0, 4) != "TZif") {
      continue;
    }
    absl::TimeZone zone;
    EXPECT_TRUE(absl::LoadTimeZone("file:" + path, &zone)) << path;
    const ZoneTable table = table_of(path);
    ++count;
    std::vector<int64_t> times;
    constexpr int64_t kYearS = 31'556'952;
    for (int64_t year = 0; year < 8000; year += 7) times.push_back(year * kYearS + year * 86'413);
    absl::Time from = absl::FromUnixSeconds(0);
    absl::TimeZone::CivilTransition change;
    while (zone.NextTransition(from, &change) && change.to.year() < 2120) {
      for (const absl::CivilSecond& local : {change.from, change.to}) {
        const int64_t local_s = local - absl::CivilSecond(1970, 1, 1);
        for (const int64_t near_s : {-3601, -1800, -1, 0, 1, 1799, 3599, 3600, 90'000}) {
          times.push_back(local_s + near_s);
        }
      }
      from = zone.At(change.to).trans + absl::Seconds(1);
    }
    for (const int64_t local_s : times) {
      EXPECT_EQ(table.offset_s(local_s), abseil_offset_s(zone, local_s))
          << path << " at " << local_s << " s";
      if (testing::Test::HasFailure()) return count;
    }
  }
  return count;
}

// Debian's are "fat": every change up to 2037 is written out.
TEST(ZoneTable, ReadsTheSystemsFilesAsAbseilDoes) {
  EXPECT_GT(expect_agreement(kSystemZones), 200u);
}

// "Slim" files leave out what the rule at their end tells: most changes of today.
TEST(ZoneTable, ReadsSlimFilesAsAbseilDoes) {
  ZoneFolder folder;
  if (!folder.compile_slim()) GTEST_SKIP() << "no zic, or no tzdata.zi";
  EXPECT_GT(expect_agreement(folder.path()), 200u);
}

std::string number(uint64_t value, size_t size) {
  std::string bytes;
  for (size_t i = size; i > 0; --i) bytes.push_back(static_cast<char>(value >> (8 * (i - 1))));
  return bytes;
}

// A file of version 2 with one change at 0, from +1 h to `offset_s`.
struct Parts {
  uint32_t leap_count = 0;
  uint32_t time_count = 1;
  uint32_t type_count = 2;
  std::string times = number(0, 8);
  std::string types_of_times = "\x01";
  int32_t offset_s = 7200;
  std::string footer = "\nXXX-2\n";

  std::string bytes() const {
    const auto header = [](uint32_t leaps, uint32_t times, uint32_t types) {
      return "TZif2" + std::string(15, '\0') + number(0, 4) + number(0, 4) + number(leaps, 4) +
             number(times, 4) + number(types, 4) + number(4, 4);
    };
    const std::string texts("XXX\0", 4);
    return header(0, 0, 1) + number(3600, 4) + std::string(2, '\0') + texts +
           header(leap_count, time_count, type_count) + times + types_of_times + number(3600, 4) +
           std::string(2, '\0') + number(static_cast<uint32_t>(offset_s), 4) +
           std::string(2, '\0') + texts + footer;
  }
};

TEST(ZoneTable, ReadsAFileOfAllPartsAndRefusesEachWrongPart) {
  auto good = ZoneTable::parse(Parts().bytes());
  ASSERT_TRUE(good.ok()) << good.status().message();
  const ZoneTable table = good.take();
  EXPECT_EQ(table.offset_s(-1), 3600);
  EXPECT_EQ(table.offset_s(7199), 3600) << "in the gap: the offset before it";
  EXPECT_EQ(table.offset_s(7200), 7200);
  const auto refused = [](const Parts& parts, const char* why) {
    const auto result = ZoneTable::parse(parts.bytes());
    EXPECT_FALSE(result.ok()) << why;
    EXPECT_THAT(result.status().message(), HasSubstr(why));
  };
  // As many as the header says would need 30 GB.
  refused({.time_count = 0x7fffffff}, "shorter than it says");
  refused({.time_count = 0xffffffff}, "shorter than it says");
  refused({.type_count = 0xffffffff}, "shorter than it says");
  refused({.time_count = 0, .type_count = 0, .times = "", .types_of_times = ""}, "no offset");
  refused({.leap_count = 1, .times = number(0, 8) + std::string(12, '\0')}, "leap seconds");
  refused({.types_of_times = "\x02"}, "does not have");
  refused({.offset_s = 30 * 3600}, "more than a day");
  refused({.time_count = 2, .times = number(5, 8) + number(5, 8), .types_of_times = "\x01\x01"},
          "out of order");
  refused({.footer = ""}, "no rule");
  refused({.footer = "\nXXX-2"}, "no rule");
  refused({.footer = "\nXXX\n"}, "cannot be read");
  refused({.footer = "\nXXX-2YYY\n"}, "cannot be read");
  refused({.footer = "\nXXX-2YYY,M3.2.0\n"}, "cannot be read");
  refused({.footer = "\nXXX-2YYY,M13.2.0,M11.1.0\n"}, "cannot be read");
  EXPECT_FALSE(ZoneTable::parse("").ok());
  EXPECT_FALSE(ZoneTable::parse("not a zone file, but long enough to hold a whole header").ok());
}

TEST(ZoneTable, WithoutARuleTheLastChangeHoldsForEver) {
  auto table = ZoneTable::parse(Parts{.footer = "\n\n"}.bytes());
  ASSERT_TRUE(table.ok());
  EXPECT_EQ(table.value().offset_s(int64_t{200} * 365 * 86'400), 7200);
}

TEST(ZoneTable, TimesAtTheEndsOfTheNumbersDoNotOverflow) {
  for (const uint64_t time : {uint64_t{1} << 63, (uint64_t{1} << 63) - 1}) {
    auto table = ZoneTable::parse(Parts{.times = number(time, 8)}.bytes());
    ASSERT_TRUE(table.ok());
    EXPECT_EQ(table.value().offset_s(0), time >> 63 != 0 ? 7200 : 3600);
  }
}

TEST(ZoneRule, ReadsEveryFormOfADay) {
  constexpr int64_t kDayS = 86'400;
  const auto at = [](const char* text, int64_t local_s) {
    const auto rule = ZoneRule::parse(text);
    EXPECT_TRUE(rule.has_value()) << text;
    return rule.has_value() ? rule->at(local_s).offset_s : -1;
  };
  constexpr int64_t k2024 = 19'723 * kDayS;  // A leap year: 1 March is the 61st day.
  EXPECT_EQ(at("AAA0BBB,J60/0,J300", k2024 + 59 * kDayS), 0);
  EXPECT_EQ(at("AAA0BBB,J60/0,J300", k2024 + 60 * kDayS + 3600), 3600);
  EXPECT_EQ(at("AAA0BBB,59/0,J300", k2024 + 59 * kDayS + 3600), 3600);
  EXPECT_EQ(at("AAA0BBB-1:30,59/0,J300", k2024 + 100 * kDayS), 5400);
  EXPECT_EQ(at("<-03>3:20:10", k2024), -12'010);
  // Summer time all year, as RFC 9636 writes it.
  for (int64_t day = 0; day < 800; ++day) {
    EXPECT_EQ(at("EST5EDT,0/0,J365/25", k2024 + day * kDayS), -4 * 3600) << day;
  }
  for (const char* text :
       {"", "A0", "AB0", "AAA", "AAA25", "AAA0:60", "<+8", "<+08>", "AAA0BBB,J0,J300",
        "AAA0BBB,366,J1", "AAA0BBB,M0.1.0,J1", "AAA0BBB,M1.6.0,J1", "AAA0BBB,M1.1.7,J1",
        "AAA0BBB,J1/168,J2", "AAA0BBB,J1,J2x", "AAA0 "}) {
    EXPECT_FALSE(ZoneRule::parse(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace postback::conversion
