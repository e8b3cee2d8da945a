#include "server/time_service.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <string>

#include "base/time_mark.h"

namespace postback::server {
namespace {

constexpr int64_t kSecondUs = 1'000'000;
constexpr int64_t kDayUs = int64_t{86'400} * kSecondUs;
constexpr int64_t kSoonUs = 60 * kSecondUs;  // More than a stall of the machine.

class TimeServiceTest : public testing::Test {
 protected:
  TimeServiceTest() { EXPECT_NE(mkdtemp(folder_.data()), nullptr); }
  ~TimeServiceTest() override { std::filesystem::remove_all(folder_); }

  static int64_t now_us() { return base::system_clock().wall_us(); }
  // As a server left it whose clock differed so much from this machine's.
  void leave_mark(int64_t off_us) {
    base::TimeMark mark;
    mark.time_us = now_us() + off_us;
    mark.boot_us = base::boot_time_us();
    mark.boot_id = base::boot_id();
    ASSERT_TRUE(base::keep_mark(folder_, mark).ok());
  }

  std::string folder_ = "/tmp/time_service_XXXXXX";
};

TEST_F(TimeServiceTest, KeepsAMarkForTheNextStart) {
  { TimeService(folder_).start(); }
  const base::TimeMark mark = base::load_mark(folder_);
  EXPECT_EQ(mark.boot_id, base::boot_id());
  EXPECT_NEAR(mark.time_us, now_us(), kSoonUs);
}

TEST_F(TimeServiceTest, KnowsAClockThatIsBehindTheMarkAndStampsByTheMark) {
  leave_mark(100 * kDayUs);
  const TimeService service(folder_);
  EXPECT_EQ(service.view().state, base::ClockState::behind);
  EXPECT_NEAR(service.clock()->wall_us(), now_us() + 100 * kDayUs, kSoonUs);
}

TEST_F(TimeServiceTest, KnowsAClockThatIsAheadOfTheMarkAndMakesIdsByTheMark) {
  leave_mark(-100 * kDayUs);
  const TimeService service(folder_);
  EXPECT_EQ(service.view().state, base::ClockState::ahead);
  EXPECT_NEAR(service.clock()->wall_us(), now_us(), kSoonUs);
  EXPECT_NEAR(service.clock()->id_time_us(now_us()), now_us() - 100 * kDayUs, kSoonUs);
}

TEST_F(TimeServiceTest, FollowsTheControlDatabasesClockAtOnceWhereNothingIsProven) {
  TimeService service(folder_);
  EXPECT_EQ(service.view().state, base::ClockState::agreed);
  service.set_database_time(now_us() + 30 * kDayUs);
  EXPECT_EQ(service.view().state, base::ClockState::database_differs);
  EXPECT_NEAR(service.clock()->wall_us(), now_us() + 30 * kDayUs, kSoonUs);
}

}  // namespace
}  // namespace postback::server
