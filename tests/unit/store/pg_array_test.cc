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
  std::string out;
  PgArrayWriter array(&out, PgType::text, 2);
  array.add_bytes("ab");
  array.add_bytes("");
  EXPECT_EQ(hex(out), header("00000000", "00000019", "00000002") + "000000026162" + "00000000");
}

TEST(PgArray, FlagsNull) {
  std::string out = "before";  // An array may stand behind other bytes.
  PgArrayWriter array(&out, PgType::int8, 2);
  array.add_null();
  array.add_int8(-2);
  EXPECT_EQ(hex(out.substr(6)),
            header("00000001", "00000014", "00000002") + "ffffffff" + "00000008fffffffffffffffe");
  EXPECT_EQ(out.substr(0, 6), "before");
}

TEST(PgArray, MayBeEmpty) {
  std::string out;
  PgArrayWriter array(&out, PgType::bytea, 0);
  EXPECT_EQ(hex(out), header("00000000", "00000011", "00000000"));
}

TEST(PgArray, CountsTimesFromTheYear2000) {
  std::string out;
  append_timestamptz(&out, 946'684'800'000'000);
  append_timestamptz(&out, 0);
  EXPECT_EQ(hex(out), std::string("0000000000000000") + "fffca2fec4c82000");
}

TEST(PgArray, SendsATimeThatDoesNotFitAsOneThatIsRefused) {
  std::string out;
  append_timestamptz(&out, INT64_MIN);
  EXPECT_EQ(hex(out), "8000000000000001");  // Not INT64_MIN, which would mean -infinity.
}

TEST(PgArray, WritesIntegersInNetworkOrder) {
  std::string out;
  append_int4(&out, 0x01020304);
  append_int4(&out, -1);
  append_int8(&out, 0x0102030405060708);
  EXPECT_EQ(hex(out), "01020304ffffffff0102030405060708");
}

}  // namespace
}  // namespace postback::store
