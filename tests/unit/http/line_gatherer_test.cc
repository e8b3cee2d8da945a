#include "http/line_gatherer.h"

#include <gtest/gtest.h>

#include <string>

namespace postback::http {
namespace {

using Status = LineGatherer::Status;

TEST(LineGatherer, BorrowsLinesThatLieInOneInput) {
  const std::string bytes = "one\r\ntwo\r\nrest";
  std::string_view input = bytes;
  LineGatherer lines;
  ASSERT_EQ(lines.take(&input, 100), Status::line);
  EXPECT_EQ(lines.line(), "one\r\n");
  ASSERT_EQ(lines.take(&input, 100), Status::line);
  EXPECT_EQ(lines.line(), "two\r\n");
  EXPECT_EQ(lines.text().data(), bytes.data());
  EXPECT_EQ(lines.text(), "one\r\ntwo\r\n");
  EXPECT_EQ(input, "rest");
}

TEST(LineGatherer, JoinsALineThatComesInPieces) {
  LineGatherer lines;
  for (const std::string_view piece : {"one\r\nt", "w", "o\r"}) {
    const std::string copy(piece);
    std::string_view input = copy;
    while (lines.take(&input, 100) == Status::line) continue;
    lines.keep();
  }
  std::string_view input = "\nrest";
  ASSERT_EQ(lines.take(&input, 100), Status::line);
  EXPECT_EQ(lines.line(), "two\r\n");
  EXPECT_EQ(lines.text(), "one\r\ntwo\r\n");
  EXPECT_EQ(input, "rest");
}

TEST(LineGatherer, StopsAtALineThatIsTooLong) {
  LineGatherer lines;
  std::string_view input = "123\n";
  EXPECT_EQ(lines.take(&input, 3), Status::line);
  lines.clear();
  input = "1234\n";
  EXPECT_EQ(lines.take(&input, 3), Status::too_long);
  lines.clear();
  input = "123";
  EXPECT_EQ(lines.take(&input, 3), Status::need_more);
  lines.keep();
  input = "4";
  EXPECT_EQ(lines.take(&input, 3), Status::too_long);
}

TEST(LineGatherer, GivesMemoryBackWhenAsked) {
  LineGatherer lines;
  const std::string bytes(10'000, 'x');
  std::string_view input = bytes;
  EXPECT_EQ(lines.take(&input, 20'000), Status::need_more);
  lines.keep();
  EXPECT_GE(lines.memory_bytes(), 10'000u);
  lines.clear();
  EXPECT_TRUE(lines.empty());
  lines.shrink(4096);
  EXPECT_LT(lines.memory_bytes(), 100u);
}

}  // namespace
}  // namespace postback::http
