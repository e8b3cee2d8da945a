// The lane with its database alone.
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "lane_fixture.h"

namespace postback::ingest {
namespace {

using LaneTest = LaneFixture;

TEST_F(LaneTest, AnswersSuccessOnlyWhenTheBatchIsCommitted) {
  Postback& postback = add("a");
  turn();
  ASSERT_EQ(store_->submitted.size(), 1u);
  EXPECT_TRUE(answered_.empty());
  finish_batch(BatchResult::committed);
  ASSERT_EQ(answered_.size(), 1u);
  EXPECT_EQ(postback.outcome, Outcome::success);
  EXPECT_GT(postback.conversion.id, 0);
}

TEST_F(LaneTest, RowIdsOfLanesThatShareADatabaseDiffer) {
  std::set<int64_t> ids;
  for (const uint32_t core : {0u, 1u}) {
    io::Courier courier(core, 2);
    environment_.courier = &courier;
    for (const uint32_t scope : {1u, 2u}) {
      partner_.id = static_cast<int32_t>(10 * core + scope);
      Lane lane(partner_, 0, scope, environment_);
      Postback& postback = make("a");  // Of the same microsecond each.
      lane.add(postback);
      ids.insert(postback.conversion.id);
      store_->current.state = StoreState::down;
      client_->store_changed();
    }
  }
  EXPECT_EQ(ids.size(), 4u);
  dirty_.clear();
}

TEST_F(LaneTest, ARepeatOfADurableIdIsADuplicateWithoutTheDatabase) {
  add("a");
  turn();
  finish_batch(BatchResult::committed);
  Postback& repeat = add("a");
  turn();
  EXPECT_EQ(repeat.outcome, Outcome::duplicate);
  EXPECT_TRUE(store_->submitted.empty());
}

TEST_F(LaneTest, ARepeatWaitsForItsFirstCopyInFlight) {
  Postback& first = add("a");
  Postback& second = add("a");
  turn();
  Postback& third = add("a");
  turn();
  EXPECT_TRUE(answered_.empty());
  ASSERT_EQ(store_->submitted.size(), 1u);
  EXPECT_EQ(store_->submitted.front()->conversions.size(), 1u);
  finish_batch(BatchResult::committed);
  EXPECT_EQ(first.outcome, Outcome::success);
  EXPECT_EQ(second.outcome, Outcome::duplicate);
  EXPECT_EQ(third.outcome, Outcome::duplicate);
  EXPECT_EQ(lane_->counters().duplicate, 2u);
}

TEST_F(LaneTest, ARepeatSharesTheFailureOfItsFirstCopy) {
  Postback& first = add("a");
  Postback& second = add("a");
  turn();
  finish_batch(BatchResult::unavailable);
  EXPECT_EQ(first.outcome, Outcome::unavailable);
  EXPECT_EQ(second.outcome, Outcome::unavailable);
  EXPECT_FALSE(dedupe_.contains(1, "a"));
}

TEST_F(LaneTest, WhatTheDatabaseHadAlreadyIsADuplicateAndRemembered) {
  Postback& postback = add("a");
  turn();
  finish_batch(BatchResult::committed, RowResult::duplicate);
  EXPECT_EQ(postback.outcome, Outcome::duplicate);
  EXPECT_TRUE(dedupe_.contains(1, "a"));
}

TEST_F(LaneTest, BatchesGrowWhileTheStoreIsBusyAndAreSortedById) {
  store_->batches_max = 1;
  add("m");
  turn();
  for (const char* id : {"z", "b", "k"}) add(id);
  turn();
  ASSERT_EQ(store_->submitted.size(), 1u);
  finish_batch(BatchResult::committed);
  ASSERT_EQ(store_->submitted.size(), 1u);
  std::vector<std::string> ids;
  for (const BatchRow& row : store_->submitted.front()->conversions) {
    ids.emplace_back(row.conversion->text(Field::conversion_id));
  }
  EXPECT_EQ(ids, (std::vector<std::string>{"b", "k", "z"}));
  finish_batch(BatchResult::committed);
  EXPECT_EQ(answered_.size(), 4u);
}

TEST_F(LaneTest, ASecondBatchGoesOutBesideTheFirstOnlyWhenItIsLarge) {
  add("first");
  turn();
  add("second");
  turn();
  EXPECT_EQ(store_->submitted.size(), 1u);
  for (size_t i = 1; i < kBatchRowsPipelined; ++i) add("id" + std::to_string(i));
  turn();
  EXPECT_EQ(store_->submitted.size(), 2u);
  add("third");
  finish_batch(BatchResult::committed);
  EXPECT_EQ(store_->submitted.size(), 1u);
  finish_batch(BatchResult::committed);
  ASSERT_EQ(store_->submitted.size(), 1u) << "what waited goes out when the store is free";
  finish_batch(BatchResult::committed);
}

TEST_F(LaneTest, NoBatchHasMoreRowsThanItsBound) {
  store_->batches_max = 100;
  store_->accepting = false;
  for (size_t i = 0; i < 2 * kBatchRowsMax + 1; ++i) add("id" + std::to_string(i));
  store_->accepting = true;
  turn();
  ASSERT_EQ(store_->submitted.size(), 2u) << "the last one is small and waits";
  for (const Batch* batch : store_->submitted) {
    EXPECT_LE(batch->conversions.size(), kBatchRowsMax);
  }
  while (!store_->submitted.empty()) finish_batch(BatchResult::committed);
  EXPECT_EQ(answered_.size(), 2 * kBatchRowsMax + 1);
}

TEST_F(LaneTest, MoreThanTheLaneCanHoldIsRefusedAtOnce) {
  store_->accepting = false;
  for (size_t i = 0; i < kLanePostbacksMax; ++i) add("id" + std::to_string(i));
  Postback& over = add("one too many");
  turn();
  EXPECT_EQ(over.outcome, Outcome::unavailable);
  EXPECT_EQ(answered_.size(), 1u);
  set_state(StoreState::down);
  EXPECT_EQ(answered_.size(), kLanePostbacksMax + 1);
}

TEST_F(LaneTest, ADownStoreShedsAndComesBack) {
  store_->accepting = false;
  Postback& waiting = add("a");
  set_state(StoreState::down);
  EXPECT_EQ(waiting.outcome, Outcome::unavailable);
  Postback& during = add("b");
  turn();
  EXPECT_EQ(during.outcome, Outcome::unavailable);
  // An attempt to connect is not yet a database.
  set_state(StoreState::connecting);
  Postback& trying = add("c");
  turn();
  EXPECT_EQ(trying.outcome, Outcome::unavailable);
  store_->accepting = true;
  set_state(StoreState::up);
  Postback& after = add("a");
  turn();
  finish_batch(BatchResult::committed);
  EXPECT_EQ(after.outcome, Outcome::success);
}

TEST_F(LaneTest, KnownDuplicatesAreAnsweredWhileTheStoreIsDown) {
  add("a");
  turn();
  finish_batch(BatchResult::committed);
  set_state(StoreState::down);
  Postback& repeat = add("a");
  turn();
  EXPECT_EQ(repeat.outcome, Outcome::duplicate);
}

TEST_F(LaneTest, OneRefusedRowIsFoundByHalvingAndQuarantinedTheOthersAreStored) {
  store_->batches_max = 1;
  store_->accepting = false;
  for (int i = 0; i < 9; ++i) add("id" + std::to_string(i));
  Postback& poison = add("poison");
  add("quarantined", Reason::amount_invalid);
  store_->accepting = true;
  turn();
  int rounds = 0;
  while (!store_->submitted.empty()) {
    ASSERT_LT(++rounds, 50);
    bool has_poison = false;
    for (const BatchRow& row : store_->submitted.front()->conversions) {
      has_poison |= row.conversion->text(Field::conversion_id) == "poison";
    }
    finish_batch(has_poison ? BatchResult::rejected : BatchResult::committed);
  }
  EXPECT_EQ(poison.outcome, Outcome::quarantined);
  EXPECT_EQ(poison.conversion.reason, Reason::database_refused);
  EXPECT_EQ(poison.conversion.text(Field::body), "{}");
  EXPECT_EQ(answered_.size(), 11u);
  EXPECT_EQ(lane_->counters().stored, 9u);
  EXPECT_EQ(lane_->counters().quarantined, 2u);
  EXPECT_FALSE(dedupe_.contains(1, "poison"));
}

TEST_F(LaneTest, ARowThatIsRefusedEvenInQuarantineEndsAs503NotInALoop) {
  Postback& poison = add("poison");
  turn();
  finish_batch(BatchResult::rejected);
  finish_batch(BatchResult::rejected);
  // As bytes and nothing else.
  EXPECT_FALSE(poison.conversion.has(Field::conversion_id));
  EXPECT_EQ(poison.conversion.text(Field::body), "{}");
  finish_batch(BatchResult::rejected);
  EXPECT_EQ(poison.outcome, Outcome::unavailable);
  EXPECT_TRUE(store_->submitted.empty());
}

TEST_F(LaneTest, ARowWhoseIdAnotherRowHasIsStoredUnderAnotherId) {
  store_->batches_max = 1;
  store_->accepting = false;
  for (int i = 0; i < 3; ++i) add("id" + std::to_string(i));
  Postback& clash = add("bad", Reason::amount_invalid);
  Postback& repeat = add("id1");
  const int64_t taken = clash.conversion.id;
  store_->accepting = true;
  turn();
  int rounds = 0;
  while (!store_->submitted.empty()) {
    ASSERT_LT(++rounds, 50);
    Batch& batch = *store_->submitted.front();
    batch.id_taken = !batch.quarantined.empty() && batch.quarantined[0]->id < taken + 2;
    finish_batch(batch.id_taken ? BatchResult::rejected : BatchResult::committed);
  }
  EXPECT_EQ(clash.outcome, Outcome::quarantined);
  EXPECT_EQ(clash.conversion.reason, Reason::amount_invalid);
  EXPECT_EQ(clash.conversion.id, taken + 2);  // The first that is free.
  EXPECT_EQ(repeat.outcome, Outcome::duplicate);
  EXPECT_EQ(lane_->counters().stored, 3u);
  EXPECT_EQ(lane_->counters().quarantined, 1u);
}

TEST_F(LaneTest, AConversionWhoseIdAnotherRowHasStaysAConversion) {
  Postback& clash = add("a");
  const int64_t taken = clash.conversion.id;
  turn();
  store_->submitted.front()->id_taken = true;
  finish_batch(BatchResult::rejected);
  EXPECT_EQ(clash.conversion.id, taken + 1);
  finish_batch(BatchResult::committed);
  EXPECT_EQ(clash.outcome, Outcome::success);
  EXPECT_TRUE(dedupe_.contains(1, "a"));
}

TEST_F(LaneTest, AnIdThatIsAlwaysTakenEndsInTheQuarantineNotInALoop) {
  Postback& clash = add("a");
  turn();
  int rounds = 0;
  while (!store_->submitted.empty()) {
    ASSERT_LT(++rounds, 100);
    Batch& batch = *store_->submitted.front();
    batch.id_taken = batch.quarantined.empty();
    finish_batch(batch.id_taken ? BatchResult::rejected : BatchResult::committed);
  }
  EXPECT_EQ(clash.outcome, Outcome::quarantined);
}

TEST_F(LaneTest, RepeatsOfARefusedRowAreJudgedByThemselves) {
  add("poison");
  Postback& repeat = add("poison");
  turn();
  while (!store_->submitted.empty()) {
    finish_batch(store_->submitted.front()->conversions.empty() ? BatchResult::committed
                                                                : BatchResult::rejected);
  }
  EXPECT_EQ(repeat.outcome, Outcome::quarantined);
  EXPECT_EQ(answered_.size(), 2u);
}

TEST_F(LaneTest, QuarantinedPostbacksAreAnsweredWhenTheirRowIsCommitted) {
  Postback& postback = add("bad", Reason::amount_invalid);
  turn();
  ASSERT_EQ(store_->submitted.front()->quarantined.size(), 1u);
  EXPECT_TRUE(answered_.empty());
  finish_batch(BatchResult::committed);
  EXPECT_EQ(postback.outcome, Outcome::quarantined);
}

TEST_F(LaneTest, RepeatsAreFiledInTheStatisticsWithTheNextBatch) {
  add("a");
  turn();
  finish_batch(BatchResult::committed);
  add("a");
  add("a");
  add("b");
  turn();
  ASSERT_EQ(store_->submitted.size(), 1u);
  EXPECT_EQ(store_->submitted.front()->duplicate_count, 2);
  finish_batch(BatchResult::committed);
}

TEST_F(LaneTest, WaitsForASlotOfTheDatabaseServerOnlySoLong) {
  struct Others final : SlotWaiter {
    void slot_granted() override {}
  } others;
  SubmitGate gate;
  SubmitGate::Server& server = gate.server_of("sqlite:a.db");
  partner_.effective_database_url = "sqlite:b.db";
  environment_.gate = &gate;
  make_lane();
  for (size_t i = 0; i < kServerBatchesMax; ++i) ASSERT_TRUE(server.enter(&others));
  add("a");
  turn();
  lane_->tick(loop_.now_ns_ + SubmitGate::kSlotNs);
  turn();
  EXPECT_TRUE(store_->submitted.empty());
  lane_->tick(loop_.now_ns_ + SubmitGate::kSlotNs + 1);
  turn();
  ASSERT_EQ(store_->submitted.size(), 1u);
  finish_batch(BatchResult::committed);
  EXPECT_EQ(answered_.size(), 1u);
  // What it took beyond the bound it has given back, and no more.
  EXPECT_FALSE(server.enter(&others));
  server.leave();
  environment_.gate = nullptr;
  make_lane();
}

TEST_F(LaneTest, RepeatsAreFiledByThemselvesAfterASecond) {
  add("a");
  turn();
  finish_batch(BatchResult::committed);
  add("a");
  turn();
  EXPECT_TRUE(store_->submitted.empty());
  lane_->tick(loop_.now_ns_ + kCountsDelayNs + 1);
  turn();
  ASSERT_EQ(store_->submitted.size(), 1u);
  EXPECT_EQ(store_->submitted.front()->duplicate_count, 1);
  // A filing that fails is repeated.
  finish_batch(BatchResult::unavailable);
  lane_->tick(loop_.now_ns_ + kCountsDelayNs + 1);
  turn();
  ASSERT_EQ(store_->submitted.size(), 1u);
  EXPECT_EQ(store_->submitted.front()->duplicate_count, 1);
  finish_batch(BatchResult::committed);
}

TEST_F(LaneTest, AReadWaitsUntilTheRepeatsBeforeItAreFiled) {
  add("a");
  turn();
  finish_batch(BatchResult::committed);
  add("a");
  job_.origin = this;
  lane_->read(job_);
  EXPECT_TRUE(store_->reads.empty());
  turn();
  finish_batch(BatchResult::committed);
  ASSERT_EQ(store_->reads.size(), 1u);
  client_->read_done(*store_->reads.front());
  turn();
  EXPECT_EQ(job_returned_, 1);
}

TEST_F(LaneTest, ARetiredLaneFinishesWhatItHasAndClosesItsStore) {
  Postback& postback = add("a");
  turn();
  lane_->retire();
  turn();
  EXPECT_FALSE(store_->closed);
  finish_batch(BatchResult::committed);
  turn();
  EXPECT_EQ(postback.outcome, Outcome::success);
  EXPECT_TRUE(store_->closed);
  client_->store_closed();
  EXPECT_TRUE(lane_->retired());
}

TEST_F(LaneTest, EveryPostbackReceivedHasOneOutcome) {
  add("a");
  add("a");
  add("bad", Reason::conversion_id_macro);
  turn();
  finish_batch(BatchResult::committed);
  add("b");
  turn();
  finish_batch(BatchResult::unavailable);
  const LaneCounters& counters = lane_->counters();
  EXPECT_EQ(counters.received, 4u);
  EXPECT_EQ(counters.stored + counters.duplicate + counters.quarantined + counters.unavailable,
            counters.received);
}

}  // namespace
}  // namespace postback::ingest
