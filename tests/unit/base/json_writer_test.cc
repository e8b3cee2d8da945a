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

// One byte after the other, as a reader of RFC 8259 would write it.
std::string by_byte(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else if (c == 1) {
      out += "\\u0001";
    } else {
      out += c;
    }
  }
  return out + '"';
}

TEST(JsonWriter, FindsWhatIsToBeEscapedAtEveryPlaceOfEverySize) {
  for (size_t size = 0; size < 40; ++size) {
    const std::string plain =
        std::string("0123456789abcdefghijklmnopqrstuvwxyz~!#]").substr(0, size);
    EXPECT_EQ(json(plain), by_byte(plain));
    for (size_t place = 0; place < size; ++place) {
      for (const char c : {'"', '\\', '\n', '\x01', '\x7f', ' '}) {
        std::string text = plain;
        text[place] = c;
        EXPECT_EQ(json(text), by_byte(text));
      }
    }
  }
}

TEST(JsonWriter, PutsNothingBeyondItsBound) {
  for (size_t size = 0; size < 20; ++size) {
    for (const char c : {'x', '\x1f', '\0', '\xff'}) {
      std::string room(json_string_bytes_max(size) + 8, '#');
      const char* end = put_json_string(room.data(), std::string(size, c));
      EXPECT_LE(end, room.data() + json_string_bytes_max(size));
      EXPECT_EQ(room.substr(json_string_bytes_max(size)), "########");
    }
  }
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
