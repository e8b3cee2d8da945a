#include "ingest/row_id.h"

#include <gtest/gtest.h>

namespace postback::ingest {
namespace {

constexpr int64_t kNowUs = 1'795'000'000'000'000;  // November 2026.

TEST(RowIds, GrowWithTime) {
  RowIds ids(5);
  const int64_t first = ids.next(kNowUs);
  EXPECT_GT(first, 0);
  EXPECT_GT(ids.next(kNowUs + 1), first);
}

TEST(RowIds, GrowWithinOneMicrosecondAndWhenTheClockIsSetBack) {
  RowIds ids(5);
  int64_t last = ids.next(kNowUs);
  for (int i = 0; i < 1000; ++i) {
    const int64_t next = ids.next(kNowUs - i * 1000);
    ASSERT_GT(next, last);
    last = next;
  }
}

TEST(RowIds, DifferBetweenWritersInTheSameMicrosecond) {
  RowIds one(1);
  RowIds two(2);
  EXPECT_NE(one.next(kNowUs), two.next(kNowUs));
}

TEST(RowIds, StandOnTheirSideOfATime) {
  EXPECT_LT(RowIds(0xFFF).next(kNowUs - 1), RowIds::first_of(kNowUs));
  EXPECT_GE(RowIds(0).next(kNowUs), RowIds::first_of(kNowUs));
  EXPECT_EQ(RowIds::first_of(kNowUs + 1) - RowIds::first_of(kNowUs), RowIds::kIdsPerUs);
  EXPECT_EQ(RowIds::first_of(0), 0);
}

}  // namespace
}  // namespace postback::ingest
