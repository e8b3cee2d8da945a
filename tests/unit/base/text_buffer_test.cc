#include "base/text_buffer.h"

#include <gtest/gtest.h>

#include <string>

namespace postback::base {
namespace {

void add(TextBuffer* buffer, std::string_view text) {
  buffer->close(put(buffer->open(text.size()), text));
}

TEST(TextBuffer, KeepsWhatWasWrittenWhileItGrows) {
  TextBuffer buffer;
  std::string expected;
  for (int i = 0; i < 1000; ++i) {
    const std::string piece(static_cast<size_t>(i % 7), static_cast<char>('a' + i % 26));
    add(&buffer, piece);
    expected += piece;
    ASSERT_EQ(buffer.view(), expected);
  }
}

TEST(TextBuffer, TakesLessThanTheRoomItMade) {
  TextBuffer buffer;
  buffer.close(put(buffer.open(1000), "abc"));
  EXPECT_EQ(buffer.view(), "abc");
  EXPECT_EQ(buffer.size(), 3u);
}

TEST(TextBuffer, IsEmptyAfterClearAndKeepsSmallMemory) {
  TextBuffer buffer;
  add(&buffer, "abc");
  const char* const memory = buffer.view().data();
  buffer.clear(1024);
  EXPECT_EQ(buffer.view(), "");
  add(&buffer, "de");
  EXPECT_EQ(buffer.view(), "de");
  EXPECT_EQ(buffer.view().data(), memory);
}

TEST(TextBuffer, GivesLargeMemoryBack) {
  TextBuffer buffer;
  add(&buffer, std::string(5000, 'x'));
  buffer.clear(1024);
  EXPECT_EQ(buffer.view().data(), nullptr);
  add(&buffer, "again");
  EXPECT_EQ(buffer.view(), "again");
}

}  // namespace
}  // namespace postback::base
