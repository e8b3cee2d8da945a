#include "server/health_reasons.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace postback::server {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class HealthReasons : public testing::Test {
 protected:
  HealthReasons() {
    survey_.cores.resize(2);
    survey_.cores[1].lanes.resize(1);
    lane().store.state = StoreState::up;
    process_.registry.up = true;
    process_.journal.is_on = true;
    process_.journal.state = "ready";
  }
  LaneReport& lane() { return survey_.cores[1].lanes[0]; }
  std::vector<std::string_view> reasons() { return health_reasons(survey_, process_); }
  std::string health() {
    std::string text;
    append_health(&text, survey_, process_);
    return text;
  }

  Survey survey_;
  ProcessReport process_;
};

TEST_F(HealthReasons, AreNoneWhileAllIsWell) {
  EXPECT_THAT(reasons(), IsEmpty());
  EXPECT_THAT(health(), HasSubstr(R"({"status":"healthy","reasons":[],"ready":)"));
}

TEST_F(HealthReasons, AreListedWithTheStatus) {
  process_.registry.up = false;
  lane().store.state = StoreState::down;
  process_.journal.state = "refusing";
  process_.journal.damaged = true;
  EXPECT_THAT(health(),
              HasSubstr(R"("degraded","reasons":["control_database","database","journal",)"
                        R"("journal_damaged"],"ready":false)"));
}

TEST_F(HealthReasons, NameALateDatabaseAndAWrongSchemaToo) {
  lane().health = ingest::LaneHealth::suspect;
  EXPECT_THAT(reasons(), ElementsAre("database"));
  lane().health = ingest::LaneHealth::up;
  lane().store.state = StoreState::schema_wrong;
  EXPECT_THAT(reasons(), ElementsAre("database"));
}

TEST_F(HealthReasons, NameAClockThatIsNotBelievedHereOrAtAPartnersDatabase) {
  process_.time.state = base::ClockState::behind;
  process_.time.reason = "set it right";
  EXPECT_THAT(reasons(), ElementsAre("clock"));
  EXPECT_THAT(health(), HasSubstr(R"("clock":{"state":"behind","error":"set it right"})"));
  process_.time = {};
  EXPECT_THAT(reasons(), IsEmpty());
  process_.retention.doubted = 1;
  EXPECT_THAT(reasons(), ElementsAre("clock"));
}

TEST_F(HealthReasons, NameRecordsThatGoNowhereAndADiskThatIsNearlyFull) {
  process_.journal.space_error = "the disk has 0 MiB free";
  EXPECT_THAT(reasons(), ElementsAre("journal_space"));
  process_.journal.space_error.clear();
  process_.journal.held.push_back({journal::Owner("", 3, "alpha"), "inactive", 7});
  EXPECT_THAT(reasons(), ElementsAre("journal_held"));
  EXPECT_THAT(health(), HasSubstr(R"("held":[{"partner":"alpha","partner_id":3,)"
                                  R"("reason":"inactive","records":7}])"));
  process_.journal.held.clear();
  process_.journal.orders_error = "damaged";
  EXPECT_THAT(reasons(), ElementsAre("journal_orders"));
}

TEST_F(HealthReasons, DoNotNameAJournalThatIsOffOrBeingPrepared) {
  for (const char* state : {"off", "preparing"}) {
    process_.journal.state = state;
    EXPECT_THAT(reasons(), IsEmpty()) << state;
  }
  process_.journal.state = "failed";
  EXPECT_THAT(reasons(), ElementsAre("journal"));
}

}  // namespace
}  // namespace postback::server
