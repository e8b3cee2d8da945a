#include "base/json_writer.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

namespace postback::base {
namespace {

std::string json(std::string_view text) {
  std::string out;
  append_json_string(&out, text);
  return out;
}

TEST(JsonWriter, QuotesPlainText) {
  EXPECT_EQ(json(""), R"("")");
  EXPECT_EQ(json("conv001"), R"("conv001")");
}

TEST(JsonWriter, EscapesQuotesBackslashesAndControlBytes) {
  EXPECT_EQ(json("a\"b\\c"), R"("a\"b\\c")");
  EXPECT_EQ(json("\n\r\t"), R"("\n\r\t")");
  EXPECT_EQ(json("\x01\x1f"), R"("\u0001\u001f")");
}

TEST(JsonWriter, KeepsUtf8ByteForByte) {
  EXPECT_EQ(json("轉換 🎉 \u202E"), "\"轉換 🎉 \u202E\"");
  EXPECT_EQ(json("a\x7f"), "\"a\x7f\"");
}

TEST(JsonWriter, ReplacesNulAndEveryMaximalInvalidPart) {
  EXPECT_EQ(json(std::string_view("a\0b", 3)), "\"a\uFFFDb\"");
  EXPECT_EQ(json("\xff\xfe"), "\"\uFFFD\uFFFD\"");
  EXPECT_EQ(json("\xe2\x82"), "\"\uFFFD\"");
  EXPECT_EQ(json("\xe2\x82x"), "\"\uFFFDx\"");
}

TEST(JsonWriter, AppendsBehindWhatIsThere) {
  std::string out = "{";
  append_json_name(&out, "id");
  append_integer(&out, 7);
  EXPECT_EQ(out, R"({"id":7)");
}

TEST(JsonWriter, WritesTheGreatestAndTheSmallestInteger) {
  std::string out;
  append_integer(&out, INT64_MIN);
  out.push_back(' ');
  append_integer(&out, INT64_MAX);
  out.push_back(' ');
  append_integer(&out, 0);
  EXPECT_EQ(out, "-9223372036854775808 9223372036854775807 0");
}

}  // namespace
}  // namespace postback::base
