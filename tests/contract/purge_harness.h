// What the tests of the purge share: a partner, a clock of their own, and runs beside the stores.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>

#include "base/time.h"
#include "postback/partner.h"
#include "retention/limits.h"
#include "retention/purge.h"
#include "store_harness.h"

namespace postback::test {

using retention::kDayUs;
using retention::PurgeCounts;
using retention::PurgeOutcome;

class TestClock final : public base::Clock {
 public:
  int64_t wall_us() const override { return now_us; }
  uint64_t monotonic_ns() const override { return base::system_clock().monotonic_ns(); }
  int64_t now_us = kSomeTimeUs + 1000 * kDayUs;
};

class PurgeTest : public StoreTest {
 protected:
  void SetUp() override {
    StoreTest::SetUp();
    if (IsSkipped()) return;
    SetUpTime();
    partner_.id = 1;
    partner_.partner_code = "p";
    partner_.effective_database_url = database_->url();
  }

  // All clocks of the test agree, and are proven, unless it says otherwise.
  void SetUpTime() {
    time_.proven = true;
    time_now_us = &clock_.now_us;
    database_off_us = 0;
  }
  retention::PurgeWitness witness() {
    return {.time =
                [this] {
                  base::TimeView view = time_;
                  view.wall_us = clock_.now_us;
                  return view;
                },
            .database = &database_clock,
            .clock_is_trusted = clock_is_trusted_};
  }
  static base::Result<std::optional<int64_t>> database_clock(partner::SqlClient* client) {
    if (client->kind() == base::DatabaseKind::sqlite) return std::optional<int64_t>();
    return std::optional<int64_t>(*time_now_us + database_off_us);
  }

  base::Result<PurgeOutcome> run(retention::Purge::Pause pause, bool only_if_due = false,
                                 int64_t holder = 7, const partner::SqlLimits& limits = {}) {
    auto client = retention::open_for_purge(partner_, partner::SqlMode::guest, limits);
    if (!client.ok()) return client.status();
    if (client.value() == nullptr) return PurgeOutcome::nothing_there;
    retention::Purge purge(partner_, client.value().get(), holder, &clock_, std::move(pause),
                           witness());
    auto outcome = purge.run(only_if_due);
    counts_ = purge.counts();
    refusal_ = purge.refusal();
    return outcome;
  }
  // Runs to the end; the conversions purged.
  int64_t purge() {
    auto outcome = run([](uint64_t) { return true; });
    EXPECT_TRUE(outcome.ok()) << outcome.status().message();
    EXPECT_EQ(outcome.value(), PurgeOutcome::complete);
    return counts_.purged;
  }

  TestClock clock_;
  Partner partner_;
  PurgeCounts counts_;
  base::TimeView time_;  // But for wall_us, which is clock_'s.
  bool clock_is_trusted_ = false;
  std::string refusal_;
  static inline const int64_t* time_now_us = nullptr;
  static inline int64_t database_off_us = 0;  // Of PostgreSQL's clock to ours.
};

}  // namespace postback::test
