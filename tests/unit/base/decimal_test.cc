#include "postback/decimal.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace postback {
namespace {

// What `text` prints as after parsing, or "refused".
std::string reprinted(std::string_view text) {
  Decimal decimal;
  return Decimal::parse(text, &decimal) ? decimal.to_string() : "refused";
}

Decimal parsed(std::string_view text) {
  Decimal decimal;
  EXPECT_TRUE(Decimal::parse(text, &decimal)) << text;
  return decimal;
}

TEST(Decimal, KeepsTheScaleItCameWith) {
  EXPECT_EQ(reprinted("99.99"), "99.99");
  EXPECT_EQ(reprinted("99.90"), "99.90");
  EXPECT_EQ(reprinted("100"), "100");
  EXPECT_EQ(reprinted("0"), "0");
  EXPECT_EQ(reprinted("0.00"), "0.00");
  EXPECT_EQ(reprinted("0.000000000001"), "0.000000000001");
}

TEST(Decimal, AcceptsSignsAndDropsLeadingZeros) {
  EXPECT_EQ(reprinted("-0.50"), "-0.50");
  EXPECT_EQ(reprinted("+1.5"), "1.5");
  EXPECT_EQ(reprinted("-0"), "0");
  EXPECT_EQ(reprinted("000000000000000000000007.10"), "7.10");
}

TEST(Decimal, AcceptsAPointWithDigitsOnOneSideOnly) {
  EXPECT_EQ(reprinted(".5"), "0.5");
  EXPECT_EQ(reprinted("-.5"), "-0.5");
  EXPECT_EQ(reprinted("5."), "5");
}

TEST(Decimal, RefusesWhatIsNotPlainDigits) {
  for (const char* text :
       {"",   "-",  "+",   ".",   "-.",    "NaN", "inf", "1e9", "0x10",   "1,50", "1 000",
        " 1", "1 ", "--1", "+-1", "1.2.3", "1-",  "$5",  "١",   "1.5USD", "null"}) {
    EXPECT_EQ(reprinted(text), "refused") << '"' << text << '"';
  }
  EXPECT_EQ(reprinted(std::string_view("1\0", 2)), "refused");
}

TEST(Decimal, RefusesMoreDigitsThanItHolds) {
  EXPECT_EQ(reprinted("999999999999999999.999999999999"), "999999999999999999.999999999999");
  EXPECT_EQ(reprinted("-999999999999999999.999999999999"), "-999999999999999999.999999999999");
  EXPECT_EQ(reprinted("1000000000000000000"), "refused");
  EXPECT_EQ(reprinted("0.0000000000001"), "refused");
  EXPECT_EQ(reprinted(std::string(40, '9')), "refused");
}

TEST(Decimal, LeavesTheResultUnchangedWhenItRefuses) {
  Decimal decimal = parsed("1.25");
  EXPECT_FALSE(Decimal::parse("12.5x", &decimal));
  EXPECT_EQ(decimal.to_string(), "1.25");
}

TEST(Decimal, AppendsBehindWhatIsThere) {
  std::string text = "amount=";
  parsed("9.99").append_to(&text);
  EXPECT_EQ(text, "amount=9.99");
}

TEST(Decimal, AddsExactlyAndTakesTheLargerScale) {
  Decimal sum = parsed("0.1");
  sum.add(parsed("0.20"));
  EXPECT_EQ(sum.to_string(), "0.30");
  sum.add(parsed("-1"));
  EXPECT_EQ(sum.to_string(), "-0.70");
}

TEST(Decimal, HoldsAHundredMillionOfTheGreatestAmount) {
  // Doubling 26 times and adding the rest makes 10^8 addends without adding them one by one.
  const Decimal greatest = parsed("999999999999999999.999999999999");
  Decimal sum;
  Decimal power = greatest;
  for (int count = 100'000'000; count != 0; count /= 2) {
    if (count % 2 != 0) sum.add(power);
    if (count > 1) power.add(Decimal(power));
  }
  EXPECT_EQ(sum.to_string(), "99999999999999999999999999.999900000000");
}

TEST(Decimal, StopsAtTheLimitInsteadOfWrappingAround) {
  Decimal sum = parsed("999999999999999999.999999999999");
  for (int i = 0; i < 200; ++i) sum.add(Decimal(sum));
  EXPECT_GT(sum.units, 0);
  Decimal negative = parsed("-999999999999999999.999999999999");
  for (int i = 0; i < 200; ++i) negative.add(Decimal(negative));
  EXPECT_LT(negative.units, 0);
  EXPECT_EQ(negative.to_string().size(), 1 + 27 + 1 + 12u);
}

TEST(Decimal, ComparesValuesAndNotScales) {
  EXPECT_EQ(parsed("1.0"), parsed("1"));
  EXPECT_EQ(parsed("-0.00"), parsed("0"));
  EXPECT_FALSE(parsed("1.01") == parsed("1"));
  EXPECT_FALSE(parsed("1") == parsed("-1"));
}

TEST(Decimal, ReadsBackEveryRandomAmountItPrints) {
  const auto seed = std::random_device()();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937_64 random(seed);
  for (int i = 0; i < 20'000; ++i) {
    Decimal decimal;
    decimal.units = static_cast<__int128>(random() % 1'000'000'000'000'000'000) *
                    static_cast<__int128>(random() % 1000);
    decimal.scale = static_cast<uint8_t>(3 + random() % 10);
    if (random() % 2 != 0) decimal.units = -decimal.units;
    const std::string text = decimal.to_string();
    const Decimal again = parsed(text);
    ASSERT_TRUE(again.units == decimal.units) << text;
    ASSERT_EQ(again.scale, decimal.scale) << text;
  }
}

}  // namespace
}  // namespace postback
