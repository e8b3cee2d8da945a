#include "base/utf8.h"

#include <gtest/gtest.h>

#include <string>

namespace postback::base {
namespace {

std::string repaired(std::string_view text) {
  std::string out;
  append_repaired_utf8(&out, text);
  return out;
}

size_t sequence_size(std::string_view text) {
  size_t invalid_size = 0;
  return utf8_sequence_size(text, &invalid_size);
}

TEST(Utf8, AcceptsEveryLengthOfSequence) {
  EXPECT_EQ(sequence_size("a"), 1u);
  EXPECT_EQ(sequence_size("é"), 2u);
  EXPECT_EQ(sequence_size("轉"), 3u);
  EXPECT_EQ(sequence_size("🎉"), 4u);
  EXPECT_TRUE(is_valid_utf8("a é 轉 🎉 \U0010FFFF"));
  EXPECT_TRUE(is_valid_utf8(""));
}

TEST(Utf8, RefusesOverlongSurrogatesAndBeyondUnicode) {
  for (const char* text :
       {"\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xf0\x80\x80\x80", "\xed\xa0\x80", "\xed\xbf\xbf",
        "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\x80", "\xff", "\xe2\x82", "\xf0\x9f\x8e"}) {
    EXPECT_FALSE(is_valid_utf8(text)) << repaired(text);
    EXPECT_EQ(sequence_size(text), 0u) << repaired(text);
  }
}

TEST(Utf8, ReplacesOneMaximalInvalidPartByOneCharacter) {
  EXPECT_EQ(repaired("a\xffz"), "a\uFFFDz");
  EXPECT_EQ(repaired("\xe2\x82"), "\uFFFD");
  EXPECT_EQ(repaired("\xf0\x9f\x8ez"), "\uFFFDz");
  // The examples of the Unicode standard, table 3-8.
  EXPECT_EQ(repaired("\xc0\xaf\xe0\x80\xbf\xf0\x81\x82\x41"),
            "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\x41");
  EXPECT_EQ(repaired("\xed\xa0\x80"), "\uFFFD\uFFFD\uFFFD");
}

TEST(Utf8, ReplacesNulToo) {
  std::string out = "x";
  EXPECT_TRUE(append_repaired_utf8(&out, std::string_view("a\0b", 3)));
  EXPECT_EQ(out, "xa\uFFFDb");
}

TEST(Utf8, SaysWhenNothingWasReplaced) {
  std::string out;
  EXPECT_FALSE(append_repaired_utf8(&out, "轉換 🎉"));
  EXPECT_EQ(out, "轉換 🎉");
}

TEST(Utf8, RepairedTextIsValidWhateverComes) {
  // Every pair of bytes behind a three-byte lead, a four-byte lead and nothing.
  for (const char* prefix : {"", "\xe2", "\xf0\x9f", "\xf4"}) {
    for (int first = 0; first < 256; ++first) {
      for (int second = 0; second < 256; ++second) {
        std::string text = prefix;
        text.push_back(static_cast<char>(first));
        text.push_back(static_cast<char>(second));
        const std::string out = repaired(text);
        ASSERT_TRUE(is_valid_utf8(out));
        ASSERT_EQ(out.find('\0'), std::string::npos);
        ASSERT_EQ(out == text, is_valid_utf8(text) && text.find('\0') == std::string::npos);
      }
    }
  }
}

TEST(Utf8, CountsCharactersAndNotBytes) {
  EXPECT_EQ(utf8_character_count(""), 0u);
  EXPECT_EQ(utf8_character_count("a é 轉🎉"), 6u);
}

}  // namespace
}  // namespace postback::base
