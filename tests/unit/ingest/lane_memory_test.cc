// The lane whose database loses rows behind its back.
#include <gtest/gtest.h>

#include "ingest/owner_routes.h"
#include "lane_fixture.h"

namespace postback::ingest {
namespace {

class LaneMemoryTest : public LaneFixture {
 protected:
  // Commits one new id.
  void know(const std::string& id) {
    add(id);
    turn();
    finish_batch(BatchResult::committed);
  }
  // The only batch with the store; its sample is found as far as the test says.
  Batch& batch() {
    EXPECT_EQ(store_->submitted.size(), 1u);
    return *store_->submitted.front();
  }
  void change_database() {
    ++store_->current.identity_changes;
    client_->store_changed();
    turn();
  }
  void reopen() {
    set_state(StoreState::down);
    ++store_->current.openings;
    set_state(StoreState::up);
  }
  void pass(uint64_t time_ns) {
    loop_.now_ns_ += time_ns;
    lane_->tick(loop_.now_ns_);
    turn();
  }
};

TEST_F(LaneMemoryTest, AnotherDatabaseIsAskedForEveryIdAgain) {
  know("a");
  change_database();
  Postback& repeat = add("a");
  turn();
  finish_batch(BatchResult::committed);
  EXPECT_EQ(repeat.outcome, Outcome::success);
  EXPECT_EQ(lane_->counters().memory_forgotten, 1u);
  Postback& third = add("a");  // Known again.
  turn();
  EXPECT_EQ(third.outcome, Outcome::duplicate);
}

TEST_F(LaneMemoryTest, WhatIsForgottenIsForgottenAlsoWhileTheDatabaseIsAway) {
  know("a");
  ++store_->current.identity_changes;
  set_state(StoreState::down);
  Postback& repeat = add("a");
  turn();
  EXPECT_EQ(repeat.outcome, Outcome::unavailable);
}

TEST_F(LaneMemoryTest, ARepeatFindsItsFirstCopyAcrossTheForgetting) {
  know("before");
  Postback& first = add("a");
  turn();
  change_database();
  Postback& repeat = add("a");
  turn();
  ASSERT_EQ(store_->submitted.size(), 1u);
  finish_batch(BatchResult::committed);
  EXPECT_EQ(first.outcome, Outcome::success);
  EXPECT_EQ(repeat.outcome, Outcome::duplicate);
  Postback& third = add("a");
  turn();
  EXPECT_EQ(third.outcome, Outcome::duplicate);
  EXPECT_TRUE(store_->submitted.empty());
}

TEST_F(LaneMemoryTest, AfterAReconnectTheNewestIdsAreLookedUpBeforeMemoryIsBelieved) {
  know("a");
  know("b");
  reopen();
  Postback& repeat = add("a");
  turn();
  EXPECT_EQ(batch().sample, (std::vector<std::string>{"a", "b"}));
  EXPECT_FALSE(batch().expected_new);
  batch().sample_found = 2;
  finish_batch(BatchResult::committed, RowResult::duplicate);
  EXPECT_EQ(repeat.outcome, Outcome::duplicate);
  EXPECT_EQ(lane_->counters().memory_forgotten, 0u);
  Postback& next = add("b");
  turn();
  EXPECT_EQ(next.outcome, Outcome::duplicate);
  EXPECT_TRUE(store_->submitted.empty());
}

TEST_F(LaneMemoryTest, IdsThatAreMissingInTheDatabaseMakeTheLaneForget) {
  know("a");
  know("b");
  reopen();
  add("c");
  turn();
  batch().sample_found = 1;  // A backup from between a and b.
  finish_batch(BatchResult::committed);
  EXPECT_EQ(lane_->counters().memory_forgotten, 1u);
  Postback& lost = add("b");
  turn();
  finish_batch(BatchResult::committed);
  EXPECT_EQ(lost.outcome, Outcome::success);
  Postback& known = add("c");  // Of the very batch that told it.
  turn();
  EXPECT_EQ(known.outcome, Outcome::duplicate);
}

TEST_F(LaneMemoryTest, ASampleWhoseBatchFailsIsAskedForAgain) {
  know("a");
  reopen();
  add("b");
  turn();
  EXPECT_EQ(batch().sample.size(), 1u);
  finish_batch(BatchResult::unavailable);
  Postback& repeat = add("a");
  turn();
  EXPECT_EQ(batch().sample.size(), 1u);
  batch().sample_found = 1;
  finish_batch(BatchResult::committed, RowResult::duplicate);
  EXPECT_EQ(repeat.outcome, Outcome::duplicate);
}

TEST_F(LaneMemoryTest, MemoryIsNotBelievedLongAfterTheDatabaseWasMetLast) {
  know("a");
  pass(LaneMemory::kTrustNs / 2);
  Postback& soon = add("a");
  turn();
  EXPECT_EQ(soon.outcome, Outcome::duplicate);
  pass(LaneMemory::kTrustNs);
  batch().sample_found = batch().sample.size();  // Of the batch that files the repeat.
  finish_batch(BatchResult::committed);
  pass(LaneMemory::kTrustNs + 1);
  Postback& later = add("a");
  turn();
  EXPECT_EQ(later.outcome, Outcome::pending);
  EXPECT_EQ(batch().sample.size(), 1u);
  batch().sample_found = 1;
  finish_batch(BatchResult::committed, RowResult::duplicate);
  EXPECT_EQ(later.outcome, Outcome::duplicate);
}

// What a process before this one acknowledged is in the journal, whatever the database has.
TEST_F(LaneMemoryTest, IdsOfTheJournalAreKnownBeforeAnythingIsCommitted) {
  Backlog backlog;
  environment_.backlog = &backlog;
  auto ids = std::make_shared<IdList>();
  ids->add("journaled");
  backlog.of(1).set_recovered(1, 1, ids);
  make_lane();
  pass(2 * LaneMemory::kTrustNs);
  Postback& repeat = add("journaled");
  turn();
  EXPECT_EQ(repeat.outcome, Outcome::duplicate);
  lane_.reset();
}

TEST_F(LaneMemoryTest, IdsOfTheJournalStayKnownUntilTheyAreDrainedWhateverTheDatabaseLost) {
  Backlog backlog;
  environment_.backlog = &backlog;
  auto ids = std::make_shared<IdList>();
  ids->add("journaled");
  PartnerBacklog& counts = backlog.of(owner_of(partner_));
  counts.set_recovered(1, 1, ids);
  make_lane();
  know("a");
  reopen();  // Memory is not believed now.
  Postback& repeat = add("journaled");
  turn();
  EXPECT_EQ(repeat.outcome, Outcome::duplicate);
  change_database();
  Postback& again = add("journaled");
  turn();
  EXPECT_EQ(again.outcome, Outcome::duplicate);
  while (!store_->submitted.empty()) finish_batch(BatchResult::committed);
  counts.remove(1);
  pass(1);
  Postback& after = add("journaled");
  turn();
  EXPECT_EQ(after.outcome, Outcome::pending) << "the database has it now, and decides";
  finish_batch(BatchResult::committed, RowResult::duplicate);
  lane_.reset();
}

TEST_F(LaneMemoryTest, IdsThatAnEarlierCodeOfThePartnerMarkedStayKnownUntilTheyAreDrained) {
  Backlog backlog;
  environment_.backlog = &backlog;
  Partner before = partner_;
  before.partner_code = "before";
  partner_.former_codes = {"before"};
  auto ids = std::make_shared<IdList>();
  ids->add("journaled");
  backlog.of(owner_of(before)).set_recovered(1, 1, ids);
  make_lane();
  know("a");
  pass(1);  // Nothing waits under the partner's code of today.
  reopen();
  Postback& repeat = add("journaled");
  turn();
  EXPECT_EQ(repeat.outcome, Outcome::duplicate);
  while (!store_->submitted.empty()) finish_batch(BatchResult::committed);
  lane_.reset();
}

}  // namespace
}  // namespace postback::ingest
