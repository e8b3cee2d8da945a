#include "base/byte_window.h"

#include <gtest/gtest.h>

#include <string>

namespace postback::base {
namespace {

TEST(ByteWindow, MarksEveryByteThatIsEqual) {
  const std::string text = "a&b=c&d=e%f+g&hh";
  const ByteWindow window(text.data(), text.size());
  EXPECT_EQ(window.equal('&'), 1u << 1 | 1u << 5 | 1u << 13);
  EXPECT_EQ(window.equal('=', '%'), 1u << 3 | 1u << 7 | 1u << 9);
  EXPECT_EQ(window.equal('?'), 0u);
}

TEST(ByteWindow, TellsNulAndBytesAboveAsciiApartFromTheRest) {
  for (int c = 0; c < 256; ++c) {
    const std::string text(ByteWindow::kBytes, static_cast<char>(c));
    const bool marked = c == 0 || c > 0x7f;
    EXPECT_EQ(ByteWindow(text.data(), text.size()).nul_or_not_ascii(), marked ? 0xffffu : 0u) << c;
  }
}

TEST(ByteWindow, TellsPrintableAsciiFromTheRest) {
  for (int c = 0; c < 256; ++c) {
    const std::string text(ByteWindow::kBytes, static_cast<char>(c));
    const bool marked = c < 0x20 || c > 0x7e;
    EXPECT_EQ(ByteWindow(text.data(), text.size()).not_printable(), marked ? 0xffffu : 0u) << c;
  }
}

TEST(ByteWindow, TellsControlCharacters) {
  for (int c = 0; c < 256; ++c) {
    const std::string text(ByteWindow::kBytes, static_cast<char>(c));
    const bool marked = c < 0x20 || c == 0x7f;
    EXPECT_EQ(ByteWindow(text.data(), text.size()).control(), marked ? 0xffffu : 0u) << c;
  }
}

TEST(ByteWindow, TakesShorterTextAsFollowedByNul) {
  for (size_t size = 0; size < ByteWindow::kBytes; ++size) {
    const std::string text(size, 'x');
    const ByteWindow window(text.data(), text.size());
    EXPECT_EQ(window.equal('x'), (1u << size) - 1);
    EXPECT_EQ(window.nul_or_not_ascii(), 0xffffu & ~((1u << size) - 1));
  }
}

TEST(ByteWindow, LooksAtSixteenBytesOfLongerText) {
  const std::string text(20, 'x');
  EXPECT_EQ(ByteWindow(text.data(), text.size()).equal('x'), 0xffffu);
}

}  // namespace
}  // namespace postback::base
