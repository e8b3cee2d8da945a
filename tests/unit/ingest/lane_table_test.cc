#include "ingest/lane_table.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "fakes.h"

namespace postback::ingest {
namespace {

class LaneTableTest : public ::testing::Test, public MessageReceiver {
 protected:
  LaneTableTest() {
    courier_.connect({&mailbox_});
    LaneEnvironment environment;
    environment.loop = &loop_;
    environment.mailbox = &mailbox_;
    environment.courier = &courier_;
    environment.dedupe = &dedupe_;
    environment.clock = &base::system_clock();
    environment.receivers = &receivers_;
    environment.make_store = [this](const store::StoreOptions& options,
                                    StoreClient* client) -> base::Result<std::unique_ptr<Store>> {
      auto store = std::make_unique<FakeStore>();
      stores_[options.url].push_back({store.get(), client});
      return base::Result<std::unique_ptr<Store>>(std::move(store));
    };
    lanes_ = std::make_unique<LaneTable>(environment);
    receivers_[0] = lanes_->receivers();
  }
  ~LaneTableTest() override {
    lanes_->close_all();
    close_stores();
  }

  struct Made {
    FakeStore* store;
    StoreClient* client;
  };

  static Partner partner(int32_t id, const std::string& url, int32_t lanes = 1) {
    Partner partner;
    partner.id = id;
    partner.partner_code = "p" + std::to_string(id);
    partner.endpoint_path = "/" + partner.partner_code;
    partner.effective_database_url = url;
    partner.lanes = lanes;
    return partner;
  }
  void apply(const std::vector<Partner>& partners) {
    std::vector<std::shared_ptr<const partner::PartnerEntry>> entries;
    for (const Partner& partner : partners) {
      auto entry = std::make_shared<partner::PartnerEntry>();
      entry->partner = partner;
      entries.push_back(std::move(entry));
    }
    const partner::PartnerTable table(std::move(entries), ++version_);
    lanes_->prepare(table);
    lanes_->settle(table);
    turn();
  }
  void send(Postback* postback, int32_t partner_id, const std::string& id) {
    postback->conversion.partner_id = partner_id;
    postback->conversion.received_at_us = 1'795'000'000'000'000;
    postback->conversion.set(Field::conversion_id, id);
    postback->origin = this;
    postback->receiver = receivers_[0].postbacks;
    courier_.send(0, *postback);
    turn();
  }
  void receive(Message& message) override { answered_.push_back(static_cast<Postback*>(&message)); }
  void turn() {
    courier_.deliver_local();
    lanes_->flush();
    courier_.deliver_local();
  }
  void commit(const Made& made) {
    Batch* batch = made.store->submitted.front();
    made.store->submitted.pop_front();
    for (BatchRow& row : batch->conversions) row.result = RowResult::stored;
    batch->result = BatchResult::committed;
    made.client->batch_done(*batch);
    turn();
  }
  // A lane may have waited for the slot of one whose batch is committed here.
  void commit_all() {
    for (bool any = true; any;) {
      any = false;
      for (auto& [url, list] : stores_) {
        for (const Made& made : std::vector<Made>(list)) {
          for (; !made.store->submitted.empty(); any = true) commit(made);
        }
      }
    }
  }
  // What a store does when it was asked to close; then the closed lanes are destroyed.
  void close_stores() {
    turn();
    for (auto& [url, list] : stores_) {
      std::erase_if(list, [](const Made& made) {
        if (made.store->closed) made.client->store_closed();
        return made.store->closed;
      });
    }
    lanes_->tick(loop_.now_ns_);
  }
  size_t lane_count() const {
    size_t count = 0;
    lanes_->for_each([&count](const Lane&, const LaneCounters&) { ++count; });
    return count;
  }

  FakeLoop loop_;
  io::Mailbox mailbox_{&loop_};
  io::Courier courier_{0, 1};
  DedupeSet dedupe_{1000};
  std::vector<LaneReceivers> receivers_{1};
  std::map<std::string, std::vector<Made>> stores_;
  std::vector<Postback*> answered_;
  uint64_t version_ = 0;
  std::unique_ptr<LaneTable> lanes_;
};

TEST_F(LaneTableTest, EveryActivePartnerHasItsLanes) {
  Partner off = partner(3, "sqlite:c");
  off.is_active = false;
  apply({partner(1, "sqlite:a"), partner(2, "sqlite:b", 4), off});
  EXPECT_EQ(lane_count(), 5u);
  EXPECT_EQ(stores_.count("sqlite:c"), 0u);
}

TEST_F(LaneTableTest, APostbackOfAPartnerThatWasSwitchedOffOnItsWayIsUnavailable) {
  apply({partner(1, "sqlite:a")});
  Postback postback;
  send(&postback, 7, "x");
  ASSERT_EQ(answered_.size(), 1u);
  EXPECT_EQ(postback.outcome, Outcome::unavailable);
}

TEST_F(LaneTableTest, ATableThatChangesNothingKeepsTheLane) {
  apply({partner(1, "sqlite:a")});
  Partner renamed = partner(1, "sqlite:a");
  renamed.partner_name = "Another display name";
  apply({renamed});
  EXPECT_EQ(stores_["sqlite:a"].size(), 1u);
  EXPECT_FALSE(stores_["sqlite:a"][0].store->closed);
}

TEST_F(LaneTableTest, AnotherDatabaseGetsANewLaneAndTheOldOneFinishesItsBatch) {
  apply({partner(1, "sqlite:a")});
  Postback before;
  send(&before, 1, "x");
  const Made old_store = stores_["sqlite:a"][0];
  apply({partner(1, "sqlite:b")});
  EXPECT_FALSE(old_store.store->closed) << "its batch is on the way";
  Postback after;
  send(&after, 1, "x");
  EXPECT_EQ(stores_["sqlite:b"][0].store->submitted.size(), 1u) << "not known to the new lane";
  commit(old_store);
  EXPECT_EQ(before.outcome, Outcome::success);
  EXPECT_TRUE(old_store.store->closed);
  commit(stores_["sqlite:b"][0]);
  EXPECT_EQ(after.outcome, Outcome::success);
  close_stores();
}

TEST_F(LaneTableTest, ARemovedPartnersLaneClosesItsStore) {
  apply({partner(1, "sqlite:a"), partner(2, "sqlite:b")});
  const Made removed = stores_["sqlite:b"][0];
  apply({partner(1, "sqlite:a")});
  EXPECT_TRUE(removed.store->closed);
  close_stores();
  EXPECT_EQ(lane_count(), 1u);
  EXPECT_FALSE(lanes_->all_closed());
}

TEST_F(LaneTableTest, IdsOfARemovedPartnerMeanNothingToItsSuccessor) {
  apply({partner(1, "sqlite:a")});
  Postback first;
  send(&first, 1, "x");
  commit(stores_["sqlite:a"][0]);
  apply({});
  close_stores();
  apply({partner(1, "sqlite:a")});
  Postback again;
  send(&again, 1, "x");
  EXPECT_EQ(again.outcome, Outcome::pending) << "the database decides";
  commit(stores_["sqlite:a"][0]);
}

TEST_F(LaneTableTest, WhatVanishedLanesHaveCountedStaysCounted) {
  apply({partner(1, "sqlite:a", 4), partner(2, "sqlite:b")});
  std::vector<Postback> postbacks(40);
  for (size_t i = 0; i < postbacks.size(); ++i) {
    postbacks[i].slice = static_cast<uint32_t>(i % 4);
    send(&postbacks[i], 1, "x" + std::to_string(i));
  }
  Postback other;
  send(&other, 2, "y");
  const auto received = [this](int32_t partner_id) {
    uint64_t sum = 0;
    lanes_->for_each([&](const Lane& lane, const LaneCounters& counters) {
      if (lane.partner().id == partner_id) sum += counters.received;
    });
    lanes_->for_each_past([&](const LaneIdentity& identity, const PastLane& past) {
      if (identity.partner_id == partner_id) sum += past.counters.received;
    });
    return sum;
  };
  EXPECT_EQ(received(1), 40u);
  apply({partner(1, "sqlite:a")});  // Fewer lanes; the second partner is gone.
  EXPECT_EQ(received(1), 40u) << "while they finish what they have";
  EXPECT_EQ(received(2), 1u);
  commit_all();
  close_stores();
  EXPECT_EQ(lane_count(), 1u);
  EXPECT_EQ(received(1), 40u);
  EXPECT_EQ(received(2), 1u);
  apply({partner(1, "sqlite:a", 4), partner(2, "sqlite:b")});
  EXPECT_EQ(received(1), 40u) << "and when they are back";
  EXPECT_EQ(received(2), 1u);
  close_stores();
}

TEST(HomeCore, SpreadsThePartnersAndTheirSlices) {
  EXPECT_EQ(home_core(1, 0, 2), 1u);
  EXPECT_EQ(home_core(2, 0, 2), 0u);
  EXPECT_NE(home_core(1, 0, 2), home_core(1, 1, 2));
  EXPECT_EQ(home_core(1, 5, 1), 0u);
}

}  // namespace
}  // namespace postback::ingest
