// The lane with a real journal behind it, over a fake store: outages, late answers, replay.
#include "ingest/owner_routes.h"
#include "journal_lane_fixture.h"

namespace postback::ingest {
namespace {

using LaneJournalTest = JournalLaneFixture;

TEST_F(LaneJournalTest, WhileTheStoreIsDownPostbacksAreAcceptedOnceDurable) {
  set_state(StoreState::down);
  Postback& first = add("a");
  Postback& repeat = add("a");
  Postback& bad = add("bad", Reason::amount_invalid);
  turn();
  wait_until([this] { return lane_->idle(); });
  EXPECT_EQ(first.outcome, Outcome::accepted);
  EXPECT_EQ(repeat.outcome, Outcome::duplicate);
  EXPECT_EQ(bad.outcome, Outcome::quarantined);
  EXPECT_EQ(backlog().waiting(), 2u);
  EXPECT_GT(writer_->status().durable_lsn, 0u);
  EXPECT_EQ(lane_->counters().quarantined, 0u) << "its row is not stored yet";
  Postback& later = add("a");
  turn();
  EXPECT_EQ(later.outcome, Outcome::duplicate);
}

TEST_F(LaneJournalTest, WhatWaitsGoesToTheJournalWhenTheStoreGoesDown) {
  store_->accepting = false;
  Postback& waiting = add("a");
  turn();
  set_state(StoreState::down);
  wait_until([this] { return lane_->idle(); });
  EXPECT_EQ(waiting.outcome, Outcome::accepted);
  EXPECT_NE(waiting.conversion.id, 0);
}

TEST_F(LaneJournalTest, ABatchThatFailsGoesToTheJournal) {
  Postback& postback = add("a");
  turn();
  finish_batch(BatchResult::unavailable);
  wait_until([this] { return lane_->idle(); });
  EXPECT_EQ(postback.outcome, Outcome::accepted);
  EXPECT_EQ(backlog().waiting(), 1u);
}

// What a standby lacked when it was promoted.
TEST_F(LaneJournalTest, TheNewestRowsAreReplayedThroughTheJournalWhenTheDatabaseIsAnotherOne) {
  environment_.failover_tail_ns = 2'000'000'000;
  make_lane();
  const auto commit = [this](const std::string& id) {
    add(id);
    turn();
    finish_batch(BatchResult::committed);
  };
  commit("old");
  loop_.now_ns_ += 5'000'000'000;
  commit("a");
  commit("b");
  loop_.now_ns_ += 60'000'000'000;  // An outage makes nothing old.
  const uint64_t before = writer_->status().durable_lsn;
  const uint64_t additions = backlog().additions();
  ++store_->current.identity_changes;
  set_state(StoreState::down);
  wait_until([&] { return backlog().additions() > additions; });
  EXPECT_GT(writer_->status().durable_lsn, before);
}

TEST_F(LaneJournalTest, ALatePostbackIsAnsweredFromTheJournalAndConfirmedByTheStore) {
  Postback& postback = add_early("a");
  turn();
  pass(kBudgetNs);
  EXPECT_EQ(lane_->health(), LaneHealth::suspect);
  wait_until([this] { return !early_.answers.empty(); });
  EXPECT_EQ(early_.answers[0], (std::pair<const Postback*, Outcome>(&postback, Outcome::accepted)));
  EXPECT_TRUE(answered_.empty()) << "the store still has it";
  EXPECT_EQ(backlog().waiting(), 1u);
  Postback& repeat = add("a");
  turn();
  EXPECT_EQ(repeat.outcome, Outcome::duplicate);
  finish_batch(BatchResult::committed);
  EXPECT_EQ(answered_.size(), 2u);
  EXPECT_TRUE(postback.answered);
  EXPECT_EQ(backlog().waiting(), 0u);
  EXPECT_TRUE(backlog().is_settled(postback.conversion.id));
  EXPECT_EQ(lane_->counters().stored, 1u);
  pass(1);
  EXPECT_EQ(lane_->health(), LaneHealth::up);
}

TEST_F(LaneJournalTest, ALatePostbackThatTheStoreLosesStaysInTheJournal) {
  Postback& postback = add_early("a");
  turn();
  pass(kBudgetNs);
  wait_until([this] { return !early_.answers.empty(); });
  finish_batch(BatchResult::unavailable);
  EXPECT_EQ(answered_.size(), 1u);
  EXPECT_TRUE(postback.answered);
  EXPECT_EQ(backlog().waiting(), 1u);
  EXPECT_FALSE(backlog().is_settled(postback.conversion.id));
  EXPECT_EQ(lane_->counters().unavailable, 0u);
}

TEST_F(LaneJournalTest, TheStoreMayAnswerBeforeTheJournalDoes) {
  Postback& postback = add_early("a");
  Postback& repeat = add_early("a");
  turn();
  pass(kBudgetNs);  // On its way; the journal's answer is not taken from the mailbox.
  finish_batch(BatchResult::committed);
  EXPECT_EQ(postback.outcome, Outcome::success);
  EXPECT_EQ(repeat.outcome, Outcome::duplicate);
  EXPECT_FALSE(postback.answered);
  EXPECT_TRUE(backlog().is_settled(postback.conversion.id));
  pass(1);
  EXPECT_EQ(lane_->health(), LaneHealth::up);
  EXPECT_TRUE(backlog().is_away()) << "the journal has not answered";
  wait_until([this] { return !backlog().is_away(); });
  EXPECT_EQ(backlog().waiting(), 0u);
  EXPECT_TRUE(early_.answers.empty());
}

TEST_F(LaneJournalTest, ALateRowThatTheStoreRefusesIsLeftToTheJournal) {
  Postback& postback = add_early("poison");
  turn();
  pass(kBudgetNs);
  wait_until([this] { return !early_.answers.empty(); });
  finish_batch(BatchResult::rejected);
  EXPECT_EQ(postback.conversion.reason, Reason::none) << "its core may be reading it";
  EXPECT_EQ(answered_.size(), 1u);
  EXPECT_EQ(backlog().waiting(), 1u);
  EXPECT_TRUE(store_->submitted.empty());
}

TEST_F(LaneJournalTest, ALaneThatWaitsForStoreOrJournalTakesNoReplay) {
  add_early("a");
  turn();
  EXPECT_FALSE(backlog().is_away());
  pass(kBudgetNs);
  EXPECT_TRUE(backlog().is_away());
  ReplayBatch& batch = replay({"x"});
  mailbox_.drain();
  ASSERT_FALSE(replays_.returned.empty());
  EXPECT_EQ(replays_.returned[0], &batch);
  EXPECT_FALSE(batch.done);
}

TEST_F(LaneJournalTest, AJournalThatFailsCostsA503AndNothingElse) {
  // Making the first segment works; the first frame's write does not.
  store_->accepting = false;
  set_state(StoreState::down);
  add("fills the journal's segments");
  wait_until([this] { return lane_->idle(); });
  open_writer({.fail_at = disk_->change_count() + 6, .fail_persistent = true});
  // However far the writer's thread got, sooner or later a frame fails.
  set_state(StoreState::down);
  for (int i = 0; i < 1000; ++i) {
    Postback& postback = add("id" + std::to_string(i));
    turn();
    wait_until([this] { return lane_->idle(); });
    if (postback.outcome == Outcome::unavailable) {
      EXPECT_FALSE(dedupe_.contains(1, "id" + std::to_string(i)));
      set_state(StoreState::up);
      store_->accepting = true;
      Postback& direct = add("direct");
      turn();
      finish_batch(BatchResult::committed);
      EXPECT_EQ(direct.outcome, Outcome::success);
      return;
    }
  }
  FAIL() << "no frame failed";
}

TEST_F(LaneJournalTest, APostbackIsNotBoundToADiskThatHangs) {
  open_writer({.sync_delay_ms = 100});
  set_state(StoreState::down);
  Postback& first = add("id");
  turn();
  pass(kSpillLimitNs / 2);
  Postback& behind = add("behind");
  turn();
  pass(kSpillLimitNs / 2 + 1);
  EXPECT_EQ(first.outcome, Outcome::unavailable);
  EXPECT_EQ(behind.outcome, Outcome::pending) << "it came just now";
  pass(kSpillLimitNs);
  EXPECT_EQ(behind.outcome, Outcome::unavailable);
  EXPECT_TRUE(lane_->idle());
  set_state(StoreState::up);
  Postback& again = add("id");
  turn();
  finish_batch(BatchResult::committed);
  EXPECT_EQ(again.outcome, Outcome::success);
  // The record may have become durable after all: the drain is to look, and nothing is owed.
  // The two records may come back one after the other.
  wait_until([this] { return backlog().additions() > 0 && !backlog().is_away(); });
  EXPECT_EQ(backlog().waiting(), 0u);
  EXPECT_FALSE(backlog().is_away());
}

TEST_F(LaneJournalTest, WhatTheStoreConfirmedIsNotRememberedWhenItsRecordFailed) {
  store_->accepting = false;
  set_state(StoreState::down);
  add("makes the journal's segments");
  wait_until([this] { return lane_->idle(); });
  open_writer({.fail_at = disk_->change_count() + 6, .fail_persistent = true});
  // However far the writer's thread got, sooner or later a frame fails.
  for (int i = 0; i < 1000; ++i) {
    const uint64_t additions = backlog().additions();
    Postback& postback = add_early("id" + std::to_string(i));
    turn();
    pass(kBudgetNs);
    finish_batch(BatchResult::committed);  // Before the journal's answer is looked at.
    ASSERT_EQ(postback.outcome, Outcome::success);
    ASSERT_TRUE(backlog().is_settled(postback.conversion.id));
    pass(1);
    wait_until([this] { return !backlog().is_away(); });
    if (backlog().additions() > additions) continue;  // Durable: the drain will pass over it.
    EXPECT_FALSE(backlog().is_settled(postback.conversion.id)) << "no record of it will be met";
    return;
  }
  FAIL() << "no frame failed";
}

TEST_F(LaneJournalTest, RepeatsWithinAReplayedBatchAreCountedOnceHoweverOftenItIsReplayed) {
  replay({"b", "a", "b", "b"});
  finish_batch(BatchResult::unavailable);
  mailbox_.drain();
  ASSERT_EQ(replays_.returned.size(), 1u);
  EXPECT_FALSE(replays_.returned[0]->done);
  replay({"b", "a", "b", "b"});
  ASSERT_FALSE(store_->submitted.empty());
  EXPECT_EQ(store_->submitted[0]->duplicate_count, 0) << "of the first attempt nothing counts";
  while (!store_->submitted.empty()) finish_batch(BatchResult::committed);  // In smaller ones now.
  mailbox_.drain();
  ASSERT_EQ(replays_.returned.size(), 2u);
  EXPECT_TRUE(replays_.returned[1]->done);
  pass(kCountsDelayNs + 1);
  ASSERT_EQ(store_->submitted.size(), 1u) << "the counts are filed";
  EXPECT_EQ(store_->submitted[0]->duplicate_count, 2);
  finish_batch(BatchResult::committed);
}

TEST_F(LaneJournalTest, ReplayedRowsAreStoredAndTheirFatesCounted) {
  ReplayBatch& batch = replay({"b", "a", "b"});
  ASSERT_EQ(store_->submitted.size(), 1u);
  const Batch& submitted = *store_->submitted.front();
  ASSERT_EQ(submitted.conversions.size(), 2u) << "ids of a batch are distinct";
  EXPECT_EQ(submitted.conversions[0].conversion->text(Field::conversion_id), "a");
  EXPECT_EQ(submitted.conversions[1].conversion->id, 1001) << "the first copy is stored";
  EXPECT_TRUE(replays_.returned.empty());
  finish_batch(BatchResult::committed);
  mailbox_.drain();
  ASSERT_EQ(replays_.returned.size(), 1u);
  EXPECT_TRUE(batch.done);
  EXPECT_EQ(batch.stored, 2u);
  EXPECT_EQ(batch.duplicate, 1u);
  EXPECT_TRUE(dedupe_.contains(1, "a"));
  EXPECT_EQ(lane_->counters().received, 0u) << "they were received before";
}

TEST_F(LaneJournalTest, SettledRowsAreNotReplayed) {
  ASSERT_TRUE(backlog().settle(1001));
  ReplayBatch& batch = replay({"a"});
  EXPECT_TRUE(store_->submitted.empty());
  mailbox_.drain();
  EXPECT_TRUE(batch.done);
  EXPECT_EQ(batch.settled, (std::vector<int64_t>{1001}));
}

TEST_F(LaneJournalTest, APoisonRowIsFoundInAReplayedBatchAndTheOthersAreStored) {
  ReplayBatch& batch = replay({"a", "b", "poison", "d", "e"});
  int rounds = 0;
  while (!store_->submitted.empty()) {
    ASSERT_LT(++rounds, 20);
    bool has_poison = false;
    for (const BatchRow& row : store_->submitted.front()->conversions) {
      has_poison |= row.conversion->text(Field::conversion_id) == "poison";
    }
    finish_batch(has_poison ? BatchResult::rejected : BatchResult::committed);
  }
  mailbox_.drain();
  ASSERT_EQ(replays_.returned.size(), 1u);
  EXPECT_TRUE(batch.done);
  EXPECT_EQ(batch.stored, 4u);
  EXPECT_EQ(batch.quarantined, 1u);
}

TEST_F(LaneJournalTest, AReplayedBatchThatFailsComesBackToBeReplayedAgain) {
  ReplayBatch& batch = replay({"a", "b"});
  finish_batch(BatchResult::unavailable);
  mailbox_.drain();
  ASSERT_EQ(replays_.returned.size(), 1u);
  EXPECT_FALSE(batch.done);
  EXPECT_EQ(backlog().waiting(), 0u) << "it never left the journal";
}

TEST_F(LaneJournalTest, LivePostbacksGoBeforeReplayedOnes) {
  store_->batches_max = 1;
  add("first");
  turn();
  replay({"x"});
  add("second");
  turn();
  finish_batch(BatchResult::committed);
  ASSERT_EQ(store_->submitted.size(), 1u);
  EXPECT_EQ(store_->submitted[0]->conversions[0].conversion->text(Field::conversion_id), "second");
  finish_batch(BatchResult::committed);
  ASSERT_EQ(store_->submitted.size(), 1u);
  EXPECT_EQ(store_->submitted[0]->conversions[0].conversion->text(Field::conversion_id), "x");
  finish_batch(BatchResult::committed);
}

TEST_F(LaneJournalTest, BesideLivePostbacksOfAnyPartnerReplaysAreSmallAndRest) {
  std::vector<std::string> ids;
  for (size_t i = 0; i < 2 * kReplayRowsBesideLive; ++i) ids.push_back("id" + std::to_string(i));
  backlog_.note_live(loop_.now_ns());  // Another lane's.
  replay(ids);
  ASSERT_EQ(store_->submitted.size(), 1u);
  EXPECT_EQ(store_->submitted.front()->conversions.size(), kReplayRowsBesideLive);
  constexpr uint64_t kTookNs = 10'000'000;
  pass(kTookNs);
  finish_batch(BatchResult::committed);
  EXPECT_TRUE(store_->submitted.empty()) << "it rests";
  pass(kReplayRests * kTookNs);
  ASSERT_EQ(store_->submitted.size(), 1u);
  finish_batch(BatchResult::committed);
  pass(1'000'000'000);
  replay(ids);
  ASSERT_EQ(store_->submitted.size(), 1u);
  EXPECT_EQ(store_->submitted.front()->conversions.size(), ids.size()) << "nobody else is there";
  finish_batch(BatchResult::committed);
}

TEST_F(LaneJournalTest, ARetiredLaneWaitsForTheJournal) {
  set_state(StoreState::down);
  Postback& postback = add("a");
  lane_->retire();
  turn();
  EXPECT_FALSE(store_->closed);
  wait_until([this] { return store_->closed; });
  EXPECT_EQ(postback.outcome, Outcome::accepted);
  client_->store_closed();
}

TEST_F(LaneJournalTest, ANewLaneKnowsWhatWasRecovered) {
  auto ids = std::make_shared<IdList>();
  ids->add("from before");
  backlog().set_recovered(1, 1, ids);
  make_lane();
  Postback& repeat = add("from before");
  turn();
  EXPECT_EQ(repeat.outcome, Outcome::duplicate);
  EXPECT_EQ(lane_->health(), LaneHealth::draining);
}

TEST_F(LaneJournalTest, AnAcceptedIdThatTheDatabaseRefusesLaterIsNewAgain) {
  set_state(StoreState::down);
  add("poison");
  turn();
  wait_until([this] { return lane_->idle(); });
  set_state(StoreState::up);
  EXPECT_TRUE(dedupe_.contains(1, "poison"));
  ReplayBatch& batch = replay({"poison"});
  finish_batch(BatchResult::rejected);
  finish_batch(BatchResult::committed);
  mailbox_.drain();
  EXPECT_EQ(batch.quarantined, 1u);
  Postback& corrected = add("poison");
  turn();
  finish_batch(BatchResult::committed);
  EXPECT_EQ(corrected.outcome, Outcome::success);
  Postback& repeat = add("poison");
  turn();
  EXPECT_EQ(repeat.outcome, Outcome::duplicate);
}

TEST_F(LaneJournalTest, ALateRowThatWasAnsweredEarlyAndIsRefusedIsNewAgain) {
  Postback& early = add_early("poison");
  turn();
  pass(kBudgetNs);
  wait_until([this] { return !early_.answers.empty(); });
  EXPECT_TRUE(dedupe_.contains(1, "poison"));
  finish_batch(BatchResult::rejected);
  ASSERT_TRUE(early.answered);
  pass(1);
  replay({"poison"});
  finish_batch(BatchResult::rejected);
  finish_batch(BatchResult::committed);
  EXPECT_FALSE(dedupe_.contains(1, "poison"));
}

TEST_F(LaneJournalTest, ARecoveredIdThatIsRefusedIsNewForTheNextLaneToo) {
  auto ids = std::make_shared<IdList>();
  ids->add("poison");
  ids->add("good");
  backlog().set_recovered(2, 1, ids);
  make_lane();
  replay({"poison"});
  finish_batch(BatchResult::rejected);
  finish_batch(BatchResult::committed);
  EXPECT_FALSE(dedupe_.contains(1, "poison"));
  DedupeSet fresh(1000);
  environment_.dedupe = &fresh;
  settle_down();
  lane_ = std::make_unique<Lane>(partner_, 0, 2, environment_);
  EXPECT_FALSE(fresh.contains(2, "poison"));
  EXPECT_TRUE(fresh.contains(2, "good"));
}

// The first copy was decided to go to the quarantine, its id was new again, and the corrected copy
// went to the journal as well: one batch has both.
TEST_F(LaneJournalTest, ACopyBehindARefusedOneIsJudgedByItself) {
  ReplayBatch& batch = replay({"id", "other", "id", "id"});
  const auto first_id = [this] {
    for (const BatchRow& row : store_->submitted.front()->conversions) {
      if (row.conversion->id == 1001) return true;
    }
    return false;
  };
  for (int rounds = 0; !store_->submitted.empty(); ++rounds) {
    ASSERT_LT(rounds, 20);
    finish_batch(first_id() ? BatchResult::rejected : BatchResult::committed);
  }
  mailbox_.drain();
  ASSERT_EQ(replays_.returned.size(), 1u);
  EXPECT_TRUE(batch.done);
  EXPECT_EQ(batch.quarantined, 1u);
  EXPECT_EQ(batch.stored, 2u) << "the other, and the second copy";
  EXPECT_EQ(batch.duplicate, 1u) << "the third copy";
  EXPECT_TRUE(dedupe_.contains(1, "id"));
}

TEST_F(LaneJournalTest, WithAJournalThatRefusesALateDatabaseServesAsWithoutAJournal) {
  set_state(StoreState::down);
  add("makes the first segment");
  wait_until([this] { return lane_->idle(); });
  open_writer({.fail_at = disk_->change_count() + 6, .fail_persistent = true});
  std::vector<Postback*> rows;
  int more = 3;  // Rounds after the first refusal.
  for (int i = 0; i < 1000 && more > 0; ++i) {
    if (writer_->status().state != journal::WriterState::ready) --more;
    rows.push_back(&add_early("id" + std::to_string(i)));
    turn();
    pass(kBudgetNs);  // Late: copies of what the store has, and what waits, meet the journal.
    rows.push_back(&add_early("behind" + std::to_string(i)));
    turn();
    while (!store_->submitted.empty()) finish_batch(BatchResult::committed);
    wait_until([this] { return lane_->idle() || !store_->submitted.empty(); });
    while (!store_->submitted.empty()) finish_batch(BatchResult::committed);
  }
  wait_until([this] {
    while (!store_->submitted.empty()) finish_batch(BatchResult::committed);
    return lane_->idle();
  });
  for (const Postback* row : rows) {
    EXPECT_NE(row->outcome, Outcome::unavailable) << row->conversion.text(Field::conversion_id);
  }
  EXPECT_NE(writer_->status().state, journal::WriterState::ready);
  pass(kBudgetNs);
  Postback& late = add_early("late");
  turn();
  pass(kBudgetNs);
  EXPECT_NE(lane_->health(), LaneHealth::suspect) << "there is nowhere else to go";
  finish_batch(BatchResult::committed);
  EXPECT_EQ(late.outcome, Outcome::success);
  lane_->retire();  // Waits for what the journal still owes.
  turn();
  wait_until([this] {
    lane_->flush();
    return store_->closed;
  });
  client_->store_closed();
}

}  // namespace
}  // namespace postback::ingest
