#include "store/pg_array.h"

#include <gtest/gtest.h>

namespace postback::store {
namespace {

std::string hex(std::string_view bytes) {
  std::string text;
  for (const unsigned char c : bytes) {
    text.push_back("0123456789abcdef"[c >> 4]);
    text.push_back("0123456789abcdef"[c & 15]);
  }
  return text;
}

// Dimensions, NULL flag, element type, count, lower bound.
std::string header(const std::string& nulls, const std::string& type, const std::string& count) {
  return "00000001" + nulls + type + count + "00000001";
}

TEST(PgArray, WritesTextWithItsSize) {
  base::TextBuffer out;
  PgArrayWriter array(&out, PgType::text, 2);
  array.add_bytes("ab");
  array.add_bytes("");
  EXPECT_EQ(hex(out.view()),
            header("00000000", "00000019", "00000002") + "000000026162" + "00000000");
}

TEST(PgArray, FlagsNull) {
  base::TextBuffer out;
  out.close(base::put(out.open(6), "before"));  // An array may stand behind other bytes.
  PgArrayWriter array(&out, PgType::int8, 2);
  array.add_null();
  array.add_int8(-2);
  EXPECT_EQ(hex(out.view().substr(6)),
            header("00000001", "00000014", "00000002") + "ffffffff" + "00000008fffffffffffffffe");
  EXPECT_EQ(out.view().substr(0, 6), "before");
}

TEST(PgArray, MayBeEmpty) {
  base::TextBuffer out;
  PgArrayWriter array(&out, PgType::bytea, 0);
  EXPECT_EQ(hex(out.view()), header("00000000", "00000011", "00000000"));
}

std::string written(char* (*put)(char*, int64_t), int64_t value) {
  char bytes[8];
  return hex({bytes, static_cast<size_t>(put(bytes, value) - bytes)});
}

TEST(PgArray, CountsTimesFromTheYear2000) {
  EXPECT_EQ(written(put_timestamptz, 946'684'800'000'000), "0000000000000000");
  EXPECT_EQ(written(put_timestamptz, 0), "fffca2fec4c82000");
}

TEST(PgArray, SendsATimeThatDoesNotFitAsOneThatIsRefused) {
  // Not INT64_MIN, which would mean -infinity.
  EXPECT_EQ(written(put_timestamptz, INT64_MIN), "8000000000000001");
}

TEST(PgArray, WritesIntegersInNetworkOrder) {
  EXPECT_EQ(written(put_int8, 0x0102030405060708), "0102030405060708");
  char bytes[8];
  char* const end = put_int4(put_int4(bytes, 0x01020304), -1);
  EXPECT_EQ(hex({bytes, static_cast<size_t>(end - bytes)}), "01020304ffffffff");
}

TEST(PgArray, WritesAmountsAsText) {
  base::TextBuffer out;
  PgArrayWriter array(&out, PgType::text, 1);
  array.add_decimal({.units = -1050, .scale = 2});
  EXPECT_EQ(hex(out.view()),
            header("00000000", "00000019", "00000001") + "00000006" + hex("-10.50"));
}

}  // namespace
}  // namespace postback::store
