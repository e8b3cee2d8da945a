#include "base/time_guard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/guarded_clock.h"
#include "base/time_mark.h"

namespace postback::base {
namespace {

using testing::HasSubstr;

constexpr int64_t kSecondUs = 1'000'000;
constexpr int64_t kHourUs = 3600 * kSecondUs;
constexpr int64_t kDayUs = 24 * kHourUs;
constexpr int64_t kYearUs = 365 * kDayUs;
constexpr int64_t kTrueUs = kReleasedUs + 100 * kDayUs;
constexpr int64_t kIn2001Us = int64_t{978'307'200} * kSecondUs;

// A machine whose wall clock may be off from the true time, and the guard of a server on it.
class TimeGuardTest : public testing::Test {
 protected:
  void pass(int64_t us) {
    true_us_ += us;
    boot_us_ += us;
  }
  // The server looks every hour meanwhile.
  void run(int64_t us) {
    for (; us > 0; us -= kHourUs) {
      pass(kHourUs);
      look();
    }
  }
  void restart() { guard_ = TimeGuard(*mark_from_text(mark_to_text(guard_.mark()))); }
  void reboot(int64_t off_us) {
    true_us_ += off_us;
    boot_us_ = 10 * kSecondUs;
    boot_id_ += "'";
    restart();
  }
  const TimeView& look() {
    TimeSample sample{true_us_ + off_us_, boot_us_, boot_id_, {}};
    if (database_off_us_.has_value()) sample.database_us = true_us_ + *database_off_us_;
    return guard_.look(sample);
  }
  void become_proven() {
    look();
    run(kDayUs);
    EXPECT_TRUE(guard_.view().proven);
  }

  int64_t true_us_ = kTrueUs;
  int64_t off_us_ = 0;  // The wall clock's error.
  std::optional<int64_t> database_off_us_;
  int64_t boot_us_ = kHourUs;
  std::string boot_id_ = "a";
  TimeGuard guard_;
};

TEST_F(TimeGuardTest, ANewServerAgreesAndIsProvenAfterADay) {
  EXPECT_EQ(look().state, ClockState::agreed);
  EXPECT_FALSE(look().proven);
  run(kDayUs - kHourUs);
  EXPECT_FALSE(guard_.view().proven);
  run(kHourUs);
  EXPECT_TRUE(guard_.view().proven);
  EXPECT_EQ(guard_.view().believed_us, true_us_);
  EXPECT_EQ(guard_.view().lag_us, 0);
}

TEST_F(TimeGuardTest, AClockThatIsCorrectedByMinutesIsNotDoubted) {
  become_proven();
  for (const int64_t off_us : {9 * 60 * kSecondUs, int64_t{0}, -9 * 60 * kSecondUs}) {
    off_us_ = off_us;
    pass(kSecondUs);
    EXPECT_EQ(look().state, ClockState::agreed) << off_us;
    EXPECT_EQ(look().believed_us, true_us_ + off_us);
  }
}

TEST_F(TimeGuardTest, AWrongClockOverARestartIsDoubtedAndWhenItIsRightAgainAgreed) {
  look();
  for (const int64_t off_us : {10 * kYearUs, 30 * kDayUs, kHourUs, -kHourUs, -60 * kDayUs}) {
    pass(4 * kSecondUs);
    off_us_ = off_us;
    restart();
    EXPECT_EQ(look().state, off_us > 0 ? ClockState::ahead : ClockState::behind) << off_us;
    EXPECT_THAT(look().reason, HasSubstr("nothing is purged"));
    pass(4 * kSecondUs);
    look();
    off_us_ = 0;
    restart();
    EXPECT_EQ(look().state, ClockState::agreed);
    EXPECT_EQ(look().reason, "");
    EXPECT_EQ(look().lag_us, 0);
    EXPECT_EQ(look().gap_ended_us, 0);
  }
}

TEST_F(TimeGuardTest, IdsStayNearTheMarkWhateverTheClockSays) {
  look();
  for (const int64_t off_us : {10 * kYearUs, 2 * kDayUs, -2 * kDayUs, kIn2001Us - kTrueUs}) {
    pass(kHourUs);
    off_us_ = off_us;
    EXPECT_EQ(look().id_time_us, true_us_) << off_us;
  }
}

TEST_F(TimeGuardTest, RowsAreNotStampedByADeadClockOrOneThatIsDaysBehind) {
  look();
  for (const int64_t off_us : {kIn2001Us - kTrueUs, -26 * kHourUs}) {
    off_us_ = off_us;
    restart();
    pass(kSecondUs);
    EXPECT_EQ(look().believed_us, true_us_) << off_us;
  }
  off_us_ = -24 * kHourUs;
  EXPECT_EQ(look().believed_us, true_us_ + off_us_) << "a date that was mixed up is followed";
  off_us_ = 90 * kDayUs;
  EXPECT_EQ(look().believed_us, true_us_ + off_us_) << "a machine may have been off";
}

TEST_F(TimeGuardTest, ADeadClockIsKnownWithoutAnyMark) {
  off_us_ = kIn2001Us - kTrueUs;
  EXPECT_EQ(look().state, ClockState::behind);
  EXPECT_EQ(look().believed_us, kReleasedUs);
  run(3 * kDayUs);
  EXPECT_EQ(guard_.view().state, ClockState::behind) << "not in any number of days";
}

TEST_F(TimeGuardTest, AnEvenCourseIsBelievedAfterADay) {
  become_proven();
  for (const int64_t off_us : {90 * kDayUs, 50 * kDayUs}) {
    off_us_ = off_us;
    pass(kSecondUs);
    look();
    run(kDayUs - kHourUs);
    EXPECT_NE(guard_.view().state, ClockState::agreed) << off_us;
    EXPECT_THAT(guard_.view().reason, HasSubstr("another 60 min"));
    run(kHourUs);
    EXPECT_EQ(guard_.view().state, ClockState::agreed) << off_us;
    EXPECT_EQ(guard_.view().id_time_us, true_us_ + off_us);
  }
}

TEST_F(TimeGuardTest, AClockThatIsSetAgainAndAgainIsNotBelieved) {
  become_proven();
  for (int i = 0; i < 60; ++i) {
    off_us_ = kDayUs * (2 + i % 3);
    run(kHourUs);
    EXPECT_EQ(guard_.view().state, ClockState::ahead) << i;
  }
}

TEST_F(TimeGuardTest, ARestartNeitherShortensNorForgetsTheDay) {
  become_proven();
  off_us_ = 30 * kDayUs;
  look();
  run(12 * kHourUs);
  restart();
  EXPECT_EQ(look().state, ClockState::ahead);
  run(12 * kHourUs);
  EXPECT_EQ(guard_.view().state, ClockState::agreed);
  off_us_ = 60 * kDayUs;
  look();
  run(12 * kHourUs);
  reboot(kHourUs);
  look();
  run(23 * kHourUs);
  EXPECT_EQ(guard_.view().state, ClockState::ahead) << "a boot may bring another clock";
  run(kHourUs);
  EXPECT_EQ(guard_.view().state, ClockState::agreed);
}

TEST_F(TimeGuardTest, TenYearsAheadAreNeverBelieved) {
  become_proven();
  off_us_ = 10 * kYearUs;
  look();
  run(10 * kDayUs);
  EXPECT_EQ(guard_.view().state, ClockState::ahead);
  EXPECT_THAT(guard_.view().reason, HasSubstr("remove DATA_DIR/clock.mark"));
}

TEST_F(TimeGuardTest, AJumpThatIsBelievedIsFollowedSlowlyAndLeavesAGap) {
  become_proven();
  const int64_t before_us = true_us_;
  off_us_ = 90 * kDayUs;
  look();
  run(kDayUs);
  ASSERT_EQ(guard_.view().state, ClockState::agreed);
  EXPECT_EQ(guard_.view().lag_us, 90 * kDayUs);
  // The clock may have been wrong since the machine was started.
  EXPECT_LE(guard_.view().gap_began_us, before_us - kDayUs);
  EXPECT_EQ(guard_.view().gap_ended_us, true_us_ + off_us_);
  run(kDayUs);
  EXPECT_EQ(guard_.view().lag_us, 87 * kDayUs);
  run(29 * kDayUs);
  EXPECT_EQ(guard_.view().lag_us, 0);
}

TEST_F(TimeGuardTest, AMachineThatIsOffEveryNightAgreesAndPurgesLittleLater) {
  become_proven();
  for (int night = 0; night < 10; ++night) {
    reboot(14 * kHourUs);
    EXPECT_EQ(look().state, ClockState::agreed);
    EXPECT_EQ(look().lag_us, 14 * kHourUs) << night;
    run(10 * kHourUs);
    EXPECT_EQ(guard_.view().lag_us, 0);
  }
}

TEST_F(TimeGuardTest, AMachineThatWasOffForMonthsIsBelievedAfterADay) {
  become_proven();
  reboot(90 * kDayUs);
  EXPECT_EQ(look().state, ClockState::ahead);
  EXPECT_EQ(look().believed_us, true_us_);
  run(kDayUs);
  EXPECT_EQ(guard_.view().state, ClockState::agreed);
}

TEST_F(TimeGuardTest, ADatabaseServersClockContradictsAndAProvenMarkTellsWhoIsRight) {
  database_off_us_ = 0;
  off_us_ = -60 * kDayUs;
  EXPECT_EQ(look().state, ClockState::database_differs);
  EXPECT_EQ(look().believed_us, true_us_) << "a new server believes the database's";
  EXPECT_EQ(look().id_time_us, true_us_);
  off_us_ = 60 * kDayUs;
  EXPECT_EQ(look().state, ClockState::database_differs);
  EXPECT_EQ(look().believed_us, true_us_);
  off_us_ = 0;
  become_proven();
  database_off_us_ = -kYearUs;
  EXPECT_EQ(look().state, ClockState::database_differs);
  EXPECT_EQ(look().believed_us, true_us_) << "now the database's is the wrong one";
  EXPECT_THAT(look().reason, HasSubstr("control database"));
}

TEST_F(TimeGuardTest, ADatabaseServersDeadClockIsNotFollowed) {
  database_off_us_ = kIn2001Us - kTrueUs;
  EXPECT_EQ(look().state, ClockState::database_differs);
  EXPECT_EQ(look().believed_us, true_us_);
}

TEST_F(TimeGuardTest, AMarkThatWasWrongIsLeftAtOnceWhenADatabaseSaysSo) {
  off_us_ = 10 * kYearUs;
  look();  // The first look of all was by a wrong clock.
  off_us_ = 0;
  EXPECT_EQ(look().state, ClockState::behind);
  database_off_us_ = 0;
  EXPECT_EQ(look().state, ClockState::agreed);
  EXPECT_EQ(look().believed_us, true_us_);
}

TEST_F(TimeGuardTest, TheClockOfTheCoresFollowsWhatIsBelieved) {
  GuardedClock clock;
  const int64_t now_us = system_clock().wall_us();
  TimeView view;
  view.wall_us = now_us;
  view.believed_us = now_us;
  view.id_time_us = now_us;
  clock.set(view);
  EXPECT_NEAR(clock.wall_us(), now_us, kSecondUs * 60);
  EXPECT_EQ(clock.id_time_us(now_us + kToleranceUs), now_us + kToleranceUs);
  EXPECT_EQ(clock.id_time_us(now_us + kYearUs), now_us);
  EXPECT_EQ(clock.id_time_us(now_us - kYearUs), now_us);
  view.believed_us = now_us + kYearUs;
  clock.set(view);
  EXPECT_NEAR(clock.wall_us(), now_us + kYearUs, kSecondUs * 60);
  // Set back by years since the last look.
  view.wall_us = now_us + 10 * kYearUs;
  view.believed_us = view.wall_us;
  clock.set(view);
  EXPECT_EQ(clock.wall_us(), view.believed_us - kBehindUs);
}

}  // namespace
}  // namespace postback::base
