#include "base/time.h"

#include <gtest/gtest.h>

#include <ctime>
#include <random>
#include <string>

namespace postback::base {
namespace {

std::string iso(int64_t time_us) {
  std::string out;
  append_iso8601(&out, time_us);
  return out;
}

TEST(Time, CountsDaysOfTheGregorianCalendar) {
  EXPECT_EQ(days_from_civil(1970, 1, 1), 0);
  EXPECT_EQ(days_from_civil(1969, 12, 31), -1);
  EXPECT_EQ(days_from_civil(2000, 2, 29), 11016);
  EXPECT_EQ(days_from_civil(2000, 3, 1), 11017);
  EXPECT_EQ(days_from_civil(2100, 3, 1) - days_from_civil(2100, 2, 28), 1);
  EXPECT_EQ(days_from_civil(9999, 12, 31), 2932896);
}

TEST(Time, AgreesWithTheSystemOnRandomTimes) {
  const auto seed = std::random_device()();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937_64 random(seed);
  for (int i = 0; i < 20'000; ++i) {
    const auto seconds = static_cast<time_t>(random() % 253'402'300'800);  // Up to year 9999.
    tm civil{};
    ASSERT_NE(gmtime_r(&seconds, &civil), nullptr);
    char expected[32];
    ASSERT_NE(strftime(expected, sizeof expected, "%Y-%m-%dT%H:%M:%SZ", &civil), 0u);
    ASSERT_EQ(iso(seconds * 1'000'000), expected);
    ASSERT_EQ(days_from_civil(civil.tm_year + 1900, civil.tm_mon + 1, civil.tm_mday),
              seconds / 86'400);
  }
}

TEST(Time, PrintsMicrosecondsOnlyWhenThereAreSome) {
  EXPECT_EQ(iso(0), "1970-01-01T00:00:00Z");
  EXPECT_EQ(iso(1'736'936'430'000'000), "2025-01-15T10:20:30Z");
  EXPECT_EQ(iso(1'736'936'430'000'120), "2025-01-15T10:20:30.000120Z");
}

TEST(Time, PrintsTimesBeforeTheEpoch) {
  EXPECT_EQ(iso(-1), "1969-12-31T23:59:59.999999Z");
}

TEST(Time, FloorsToTheMinuteOnBothSidesOfTheEpoch) {
  EXPECT_EQ(minute_floor_us(0), 0);
  EXPECT_EQ(minute_floor_us(59'999'999), 0);
  EXPECT_EQ(minute_floor_us(60'000'000), 60'000'000);
  EXPECT_EQ(minute_floor_us(-1), -60'000'000);
}

TEST(Time, MonotonicClockNeverGoesBack) {
  const Clock& clock = system_clock();
  const uint64_t before = clock.monotonic_ns();
  EXPECT_GE(clock.monotonic_ns(), before);
  EXPECT_GT(clock.wall_us(), 1'700'000'000'000'000);
}

}  // namespace
}  // namespace postback::base
