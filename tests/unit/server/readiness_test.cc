#include "server/readiness.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace postback::server {
namespace {

class ReadinessTest : public ::testing::Test {
 protected:
  ReadinessTest() {
    process_.stage = Stage::serving;
    process_.journal.state = "off";
    survey_.cores.resize(2);
    for (int i = 0; i < 2; ++i) {
      auto entry = std::make_shared<partner::PartnerEntry>();
      entry->partner.id = i + 1;
      entry->partner.endpoint_path = "/p" + std::to_string(i);
      entries_.push_back(entry);
      survey_.cores[static_cast<size_t>(i)].lanes.emplace_back();
      lane(i).store.state = StoreState::up;
    }
    know_partners(true);
  }
  LaneReport& lane(int index) { return survey_.cores[static_cast<size_t>(index)].lanes[0]; }
  void know_partners(bool any) {
    table_ = std::make_unique<partner::PartnerTable>(any ? entries_ : decltype(entries_)(), 1);
    process_.partners = table_.get();
  }
  bool all() { return judge_readiness(survey_, process_).takes_all; }
  bool some() { return judge_readiness(survey_, process_).takes_some; }
  int status() {
    std::string body;
    const int status = append_readyz(&body, survey_, process_);
    EXPECT_EQ(body.find("\"ready\":true") != std::string::npos, status == 200) << body;
    EXPECT_EQ(body.find("\"reason\"") != std::string::npos, status == 503) << body;
    return status;
  }

  std::vector<std::shared_ptr<const partner::PartnerEntry>> entries_;
  std::unique_ptr<partner::PartnerTable> table_;
  Survey survey_;
  ProcessReport process_;
};

TEST_F(ReadinessTest, AServerThatTakesEverythingIsReady) {
  EXPECT_TRUE(all());
  EXPECT_EQ(status(), 200);
}

TEST_F(ReadinessTest, WithoutPartnersNothingIsTaken) {
  know_partners(false);
  EXPECT_FALSE(all());
  EXPECT_EQ(status(), 503);
  process_.partners = nullptr;
  EXPECT_FALSE(all());
  EXPECT_EQ(status(), 503);
}

TEST_F(ReadinessTest, AServerThatStopsIsNotReadyAlthoughItServes) {
  for (const Stage stage : {Stage::leaving, Stage::draining, Stage::closing}) {
    process_.stage = stage;
    EXPECT_FALSE(all());
    EXPECT_EQ(status(), 503);
  }
}

TEST_F(ReadinessTest, OnePartnersOutageDoesNotTakeTheServerFromItsBalancer) {
  lane(0).store.state = StoreState::down;
  EXPECT_FALSE(all());
  EXPECT_EQ(status(), 200);
  lane(1).store.state = StoreState::schema_wrong;
  EXPECT_EQ(status(), 503);
  process_.journal.is_on = true;
  process_.journal.state = "ready";
  EXPECT_TRUE(all());
  EXPECT_EQ(status(), 200);
}

TEST_F(ReadinessTest, AJournalThatRefusesIsAsNone) {
  process_.journal.is_on = true;
  process_.journal.state = "refusing";
  EXPECT_TRUE(all()) << "the databases take everything";
  lane(0).health = ingest::LaneHealth::suspect;
  EXPECT_FALSE(all());
}

TEST(Stages, OneFollowsTheOther) {
  EXPECT_TRUE(may_follow(Stage::starting, Stage::serving));
  EXPECT_TRUE(may_follow(Stage::serving, Stage::leaving));
  EXPECT_TRUE(may_follow(Stage::serving, Stage::draining));
  EXPECT_TRUE(may_follow(Stage::leaving, Stage::draining));
  EXPECT_TRUE(may_follow(Stage::draining, Stage::closing));
  EXPECT_FALSE(may_follow(Stage::draining, Stage::serving));
  EXPECT_FALSE(may_follow(Stage::serving, Stage::closing));
  EXPECT_FALSE(may_follow(Stage::closing, Stage::draining));
}

}  // namespace
}  // namespace postback::server
