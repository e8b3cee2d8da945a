#include "base/time_mark.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace postback::base {
namespace {

TimeMark some_mark() {
  return {.time_us = 1,
          .boot_us = 2,
          .boot_id = "b-1",
          .agreed_us = 3,
          .lag_us = 4,
          .course_us = -5,
          .course_from = 6,
          .gap_began_us = 7,
          .gap_ended_us = 8};
}

TEST(TimeMark, IsReadAsItWasWritten) {
  const std::string text = mark_to_text(some_mark());
  const auto read = mark_from_text(text);
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(mark_to_text(*read), text);
  EXPECT_EQ(read->boot_id, "b-1");
  EXPECT_EQ(read->course_us, -5);
}

TEST(TimeMark, IsNoneWhenAnythingIsMissingCutOrNoTime) {
  const std::string text = mark_to_text(some_mark());
  for (size_t size = 0; size < text.size(); ++size) {
    EXPECT_FALSE(mark_from_text(text.substr(0, size)).has_value()) << size;
  }
  std::string huge = text;
  huge.replace(huge.find("time_us 1"), 9, "time_us 9223372036854775807");
  EXPECT_FALSE(mark_from_text(huge).has_value());
  EXPECT_FALSE(mark_from_text("postback clock mark 2\n" + text.substr(text.find('\n') + 1)));
}

TEST(TimeMark, SurvivesInItsFolderWhichIsMade) {
  char folder[] = "/tmp/time_mark_XXXXXX";
  ASSERT_NE(mkdtemp(folder), nullptr);
  const std::string data_dir = std::string(folder) + "/data";
  EXPECT_EQ(load_mark(data_dir).boot_id, "");
  ASSERT_TRUE(keep_mark(data_dir, some_mark()).ok());
  EXPECT_EQ(mark_to_text(load_mark(data_dir)), mark_to_text(some_mark()));
  std::ofstream(mark_path(data_dir)) << "garbage\n";
  EXPECT_EQ(load_mark(data_dir).boot_id, "");
  std::filesystem::remove_all(folder);
}

TEST(TimeMark, TheClockSinceTheBootGoesOnAndHasAName) {
  const TimeSample first = sample_clocks();
  const TimeSample second = sample_clocks();
  EXPECT_GT(first.boot_us, 0);
  EXPECT_GE(second.boot_us, first.boot_us);
  EXPECT_FALSE(first.boot_id.empty());
  EXPECT_EQ(first.boot_id, second.boot_id);
}

}  // namespace
}  // namespace postback::base
