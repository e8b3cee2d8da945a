#include "server/query_integer.h"

#include <gtest/gtest.h>

namespace postback::server {
namespace {

// The value of `limit` (1 to 1000, 10 when absent), or -1 when it is refused.
int64_t limit_of(std::string_view query) {
  int64_t value = 0;
  return read_query_integer(query, "limit", 1, 1000, 10, &value) ? value : -1;
}

TEST(QueryInteger, ReadsTheFirstOfItsName) {
  EXPECT_EQ(limit_of("limit=5"), 5);
  EXPECT_EQ(limit_of("cursor=7&limit=1000&x=y"), 1000);
  EXPECT_EQ(limit_of("limit=5&limit=6"), 5);
  EXPECT_EQ(limit_of("&&limit=1"), 1);
}

TEST(QueryInteger, AbsentOrEmptyIsTheDefault) {
  EXPECT_EQ(limit_of(""), 10);
  EXPECT_EQ(limit_of("limit"), 10);
  EXPECT_EQ(limit_of("limit="), 10);
  EXPECT_EQ(limit_of("limits=5&xlimit=5&Limit=5"), 10);
}

TEST(QueryInteger, RefusesWhatIsNoIntegerInRange) {
  for (const char* query : {"limit=0", "limit=1001", "limit=-1", "limit=+5", "limit=5 ",
                            "limit=%35", "limit=5.0", "limit=99999999999999999999", "limit=x"}) {
    EXPECT_EQ(limit_of(query), -1) << query;
  }
}

}  // namespace
}  // namespace postback::server
