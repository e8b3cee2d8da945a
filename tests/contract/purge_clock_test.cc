// The purge when clocks cannot be believed: over both kinds of database, beside a store.
#include <gtest/gtest.h>

#include <string>

#include "ingest/row_id.h"
#include "purge_harness.h"
#include "retention/limits.h"

namespace postback::test {
namespace {

using ingest::RowIds;

constexpr int64_t kHourUs = retention::kHourUs;
constexpr int64_t kYearUs = 365 * kDayUs;

class PurgeClocks : public PurgeTest {
 protected:
  // A conversion received and stored at this time of the clock.
  void add(TestStore& store, const std::string& conversion_id, int64_t received_us) {
    TestBatch batch;
    Conversion& conversion = batch.add(conversion_id);
    conversion.received_at_us = received_us;
    conversion.id = RowIds::first_of(received_us) + next_id() % 4096;
    ASSERT_EQ(store.commit(batch), BatchResult::committed) << batch.error;
  }
  void add_of_age(TestStore& store, int64_t days) {
    add(store, std::to_string(days), clock_.now_us - days * kDayUs - 1);
  }
  PurgeOutcome daily(int64_t holder = 7) {
    auto outcome = run([](uint64_t) { return true; }, true, holder);
    EXPECT_TRUE(outcome.ok()) << outcome.status().message();
    return outcome.value();
  }
  // The ids that are shown, newest first.
  std::string shown(TestStore& store) {
    std::string text;
    for (const StoredConversion& row : store.conversions(1000).conversions) {
      text += (text.empty() ? "" : " ") + row.conversion_id;
    }
    return text;
  }
  void set_purge(const std::string& assignment) {
    database_->run("UPDATE postback_purge SET " + assignment);
  }
  bool is_sqlite() const { return std::string(GetParam()) == "sqlite"; }
};

TEST_P(PurgeClocks, ThatAreDoubtedPurgeNothing) {
  TestStore& store = open_store();
  add_of_age(store, 31);
  for (const base::ClockState state :
       {base::ClockState::ahead, base::ClockState::behind, base::ClockState::database_differs}) {
    time_.state = state;
    time_.reason = "the clock says 2036";
    EXPECT_EQ(daily(), PurgeOutcome::clock_doubted);
    EXPECT_EQ(refusal_, "the clock says 2036");
    EXPECT_EQ(run([](uint64_t) { return true; }).value(), PurgeOutcome::clock_doubted);
    EXPECT_EQ(shown(store), "31");
  }
  time_.state = base::ClockState::agreed;
  EXPECT_EQ(daily(), PurgeOutcome::complete);
  EXPECT_EQ(shown(store), "");
}

TEST_P(PurgeClocks, ThatDifferFromTheDatabaseServersPurgeNothing) {
  if (is_sqlite()) GTEST_SKIP() << "SQLite has no clock of its own";
  TestStore& store = open_store();
  add_of_age(store, 31);
  for (const int64_t off_us : {-10 * kYearUs, -kHourUs, kHourUs, 10 * kYearUs}) {
    database_off_us = off_us;
    EXPECT_EQ(daily(), PurgeOutcome::clock_doubted) << off_us;
    EXPECT_NE(refusal_.find("its database's server"), std::string::npos) << refusal_;
  }
  database_off_us = 5 * 60 * 1'000'000;
  EXPECT_EQ(daily(), PurgeOutcome::complete);
  EXPECT_EQ(shown(store), "");
}

TEST_P(PurgeClocks, ThatWereAheadLeaveAFloorWhichIsSetBackAtOnce) {
  TestStore& store = open_store();
  add_of_age(store, 40);
  daily();
  add_of_age(store, 1);
  set_purge("floor_id = " + std::to_string(RowIds::first_of(clock_.now_us + 10 * kYearUs)));
  ASSERT_EQ(shown(store), "");
  time_.state = base::ClockState::behind;
  time_.reason = "doubted";
  EXPECT_EQ(daily(), PurgeOutcome::clock_doubted);
  EXPECT_EQ(shown(store), "1") << "readers need not wait for the clock";
}

TEST_P(PurgeClocks, ThatAreBehindTakeNoFloorForOneInTheFuture) {
  if (is_sqlite()) GTEST_SKIP() << "SQLite has no clock of its own";
  TestStore& store = open_store();
  add_of_age(store, 40);
  daily();
  const std::string floor = database_->value("SELECT floor_id FROM postback_purge");
  clock_.now_us -= 10 * kYearUs;
  database_off_us = 10 * kYearUs;
  EXPECT_EQ(daily(), PurgeOutcome::clock_doubted);
  EXPECT_EQ(database_->value("SELECT floor_id FROM postback_purge"), floor);
}

TEST_P(PurgeClocks, ThatWereAheadNeitherHoldTheLeaseNorPutThePurgeOff) {
  TestStore& store = open_store();
  EXPECT_EQ(daily(), PurgeOutcome::complete);
  add_of_age(store, 31);
  set_purge(
      "finished_at = '2099-01-01T00:00:00.000000Z', as_of = '2099-01-01T00:00:00.000000Z',"
      " held_until = '2099-01-01T00:00:00.000000Z', holder = 99");
  EXPECT_EQ(daily(), PurgeOutcome::complete);
  EXPECT_EQ(shown(store), "");
  EXPECT_EQ(daily(8), PurgeOutcome::not_due);
}

TEST_P(PurgeClocks, AreFollowedByStepsAfterALongPause) {
  TestStore& store = open_store();
  ASSERT_EQ(daily(), PurgeOutcome::complete);
  for (const int64_t days : {1, 3, 23, 25}) add_of_age(store, days);
  clock_.now_us += 90 * kDayUs;
  EXPECT_EQ(daily(), PurgeOutcome::complete);
  EXPECT_EQ(shown(store), "1 3") << "eight days at once: what is 22 days old by then";
  int purges = 1;
  for (; shown(store) != "" && purges < 10; ++purges) {
    clock_.now_us += kDayUs;
    EXPECT_EQ(daily(), PurgeOutcome::complete);
  }
  EXPECT_EQ(purges, 4);
}

TEST_P(PurgeClocks, ThatWereBehindLeaveRowsWhichAreKeptAsLongAsOthers) {
  TestStore& store = open_store();
  ASSERT_EQ(daily(), PurgeOutcome::complete);
  const int64_t stale_us = clock_.now_us + kHourUs;
  add(store, "stale", stale_us);  // By a machine that was off for months, before its clock was set.
  clock_.now_us += 90 * kDayUs;
  add(store, "good", clock_.now_us);
  for (int day = 0; day < 30; ++day) {
    ASSERT_EQ(daily(), PurgeOutcome::complete);
    ASSERT_EQ(shown(store), "good stale") << "after " << day << " days";
    clock_.now_us += kDayUs;
  }
  clock_.now_us += kDayUs;
  ASSERT_EQ(daily(), PurgeOutcome::complete);
  EXPECT_EQ(shown(store), "");
}

TEST_P(PurgeClocks, ThatWereBehindSinceTheBootAreToldByTheMark) {
  TestStore& store = open_store();
  const int64_t booted_us = clock_.now_us;
  for (int day = 0; day < 3; ++day) {  // Three days by a clock that is 90 days behind.
    add(store, "stale" + std::to_string(day), clock_.now_us);
    ASSERT_EQ(daily(), PurgeOutcome::complete);
    clock_.now_us += kDayUs;
  }
  clock_.now_us += 90 * kDayUs;
  time_.gap_began_us = booted_us - kHourUs;
  time_.gap_ended_us = clock_.now_us;
  for (int day = 0; day < 30; ++day) {
    ASSERT_EQ(daily(), PurgeOutcome::complete);
    ASSERT_EQ(shown(store), "stale2 stale1 stale0") << "after " << day << " days";
    clock_.now_us += kDayUs;
  }
  clock_.now_us += kDayUs;
  ASSERT_EQ(daily(), PurgeOutcome::complete);
  EXPECT_EQ(shown(store), "");
}

TEST_P(PurgeClocks, ThatAreNotProvenMayBeADayPastTheLastPurgeAndNoMore) {
  TestStore& store = open_store();
  ASSERT_EQ(daily(), PurgeOutcome::complete);
  add_of_age(store, 29);
  time_.proven = false;
  clock_.now_us += 3 * kDayUs;
  if (!is_sqlite()) {  // The database server's clock says the same.
    EXPECT_EQ(daily(), PurgeOutcome::complete);
    return;
  }
  EXPECT_EQ(daily(), PurgeOutcome::clock_doubted);
  EXPECT_EQ(shown(store), "29");
  clock_.now_us -= 2 * kDayUs;
  EXPECT_EQ(daily(), PurgeOutcome::complete);
  EXPECT_EQ(shown(store), "");
}

TEST_P(PurgeClocks, ThatNothingVouchesForOnlyBeginAPurge) {
  TestStore& store = open_store();
  add_of_age(store, 31);
  time_.proven = false;
  EXPECT_EQ(daily(), PurgeOutcome::complete);
  if (!is_sqlite()) {
    EXPECT_EQ(shown(store), "") << "the database server's does";
    return;
  }
  EXPECT_EQ(shown(store), "31");
  clock_.now_us += kDayUs;
  EXPECT_EQ(daily(), PurgeOutcome::complete);
  EXPECT_EQ(shown(store), "");
}

TEST_P(PurgeClocks, ThatAreMoreThanAYearPastTheLastPurgeNeedAnOperator) {
  TestStore& store = open_store();
  ASSERT_EQ(daily(), PurgeOutcome::complete);
  add_of_age(store, 1);
  clock_.now_us += 10 * kYearUs;
  EXPECT_EQ(daily(), PurgeOutcome::clock_doubted);
  EXPECT_EQ(run([](uint64_t) { return true; }).value(), PurgeOutcome::clock_doubted);
  EXPECT_EQ(shown(store), "1");
  clock_is_trusted_ = true;
  time_.state = base::ClockState::ahead;
  EXPECT_EQ(run([](uint64_t) { return true; }).value(), PurgeOutcome::complete);
  EXPECT_EQ(shown(store), "");
}

TEST_P(PurgeClocks, ThatCatchUpAreFollowedWithTheirLag) {
  TestStore& store = open_store();
  add_of_age(store, 33);
  add_of_age(store, 36);
  time_.lag_us = 5 * kDayUs;
  EXPECT_EQ(daily(), PurgeOutcome::complete);
  EXPECT_EQ(shown(store), "33");
}

TEST(PurgeTime, ReadsGapsAsItWroteThemAndLeavesOutWhatIsNone) {
  const retention::PurgeGaps gaps = {{1, 2}, {-3, 40}};
  EXPECT_EQ(retention::gaps_text(gaps), "1-2,-3-40");
  const std::string text = retention::gaps_text(gaps);
  EXPECT_EQ(retention::gaps_text(retention::parse_gaps(text)), text);
  EXPECT_EQ(retention::gaps_text(retention::parse_gaps("x,5-6,,7,8-,-,9-y,10-11")), "5-6,10-11");
  EXPECT_TRUE(retention::parse_gaps("").empty());
}

TEST(PurgeTime, KeepsABoundedNumberOfGapsThatCoverAll) {
  retention::PurgeEvidence evidence;
  evidence.time.proven = true;
  evidence.time.wall_us = 1000 * kDayUs;
  for (int i = 0; i < 60; ++i) {
    evidence.as_of_us = evidence.time.wall_us;
    evidence.time.wall_us += 3 * kDayUs;
    auto time = retention::purge_time(evidence);
    ASSERT_TRUE(time.ok());
    evidence.gaps = time.value().gaps;
  }
  EXPECT_LE(evidence.gaps.size(), 16u);
  EXPECT_EQ(evidence.gaps.front().began_us, 1000 * kDayUs);
  EXPECT_EQ(retention::purge_before_us(1004 * kDayUs, 3, evidence.gaps), 1000 * kDayUs);
}

INSTANTIATE_TEST_SUITE_P(Stores, PurgeClocks, testing::Values("sqlite", "postgresql"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace postback::test
