#include "store/sqlite_text.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

namespace postback::store {
namespace {

std::string time_text(int64_t time_us) {
  std::string text = "what stood there before";
  set_time_text(&text, time_us);
  return text;
}

TEST(SqliteText, WritesTimesWithSixDecimalsAlways) {
  EXPECT_EQ(time_text(1'736'936'430'000'000), "2025-01-15T10:20:30.000000Z");
  EXPECT_EQ(time_text(1'736'936'430'000'001), "2025-01-15T10:20:30.000001Z");
  EXPECT_EQ(time_text(0), "1970-01-01T00:00:00.000000Z");
  EXPECT_EQ(time_text(-1), "1969-12-31T23:59:59.999999Z");
}

TEST(SqliteText, ReadsWhatItWrites) {
  for (const int64_t time_us :
       {int64_t{0}, int64_t{-1}, int64_t{1'736'936'430'123'456}, int64_t{1'709'164'800'000'000},
        int64_t{253'402'300'799'999'999}, int64_t{-62'135'596'800'000'000}}) {
    int64_t read_us = 42;
    EXPECT_TRUE(parse_time_text(time_text(time_us), &read_us)) << time_text(time_us);
    EXPECT_EQ(read_us, time_us);
  }
}

TEST(SqliteText, TakesNoOtherFormOfTime) {
  for (const char* text : {"", "2025-01-15", "2025-01-15T10:20:30Z", "2025-01-15 10:20:30.000000Z",
                           "2025-01-15T10:20:30.000000+", "2025-01-15T10:20:3x.000000Z",
                           "2025-01-15T10:20:30.0000000Z"}) {
    int64_t time_us = 42;
    EXPECT_FALSE(parse_time_text(text, &time_us)) << text;
    EXPECT_EQ(time_us, 42);
  }
}

TEST(SqliteText, ReadsSumsThatAreLongerThanAnyAmount) {
  for (const char* text :
       {"0", "-0.50", "99.90", "0.000000000001", "100000000000000000000.00",
        "170141183460469231731687303715884105727", "-99999999999999999999999999.999999999999"}) {
    Decimal sum;
    ASSERT_TRUE(parse_sum(text, &sum)) << text;
    EXPECT_EQ(sum.to_string(), text);
  }
}

TEST(SqliteText, RefusesSumsThatAreNoDecimals) {
  for (const char* text :
       {"", "-", "1e3", "1.2.3", "x", " 1", "1,5", "+1", "0.0000000000001",
        "170141183460469231731687303715884105728", "9999999999999999999999999999999999999999"}) {
    Decimal sum{.units = 42, .scale = 1};
    EXPECT_FALSE(parse_sum(text, &sum)) << text;
    EXPECT_EQ(sum.units, 42);
  }
}

}  // namespace
}  // namespace postback::store
