// The lane with a real journal behind it, over a fake store: outages, late answers, replay.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "journal/fault_disk.h"
#include "journal/writer.h"
#include "lane_fixture.h"

namespace postback::ingest {
namespace {

constexpr uint64_t kBudgetNs = 1'000'000'000;

class LaneJournalTest : public LaneFixture {
 protected:
  // A postback that is answered while the store still has it.
  class EarlyDoor final : public MessageReceiver {
   public:
    void receive(Message& message) override {
      const auto& early = static_cast<const EarlyAnswer&>(message);
      answers.emplace_back(early.postback, early.outcome);
    }
    std::vector<std::pair<const Postback*, Outcome>> answers;
  };
  class ReplayDoor final : public MessageReceiver {
   public:
    void receive(Message& message) override {
      returned.push_back(static_cast<ReplayBatch*>(&message));
    }
    std::vector<ReplayBatch*> returned;
  };

  LaneJournalTest() {
    folder_ = std::filesystem::temp_directory_path() / "postback-lane-XXXXXX";
    EXPECT_NE(mkdtemp(folder_.data()), nullptr);
    open_writer({});
  }
  ~LaneJournalTest() override {
    if (lane_ != nullptr) settle_down();
    lane_.reset();
    writer_.reset();
    std::filesystem::remove_all(folder_);
  }

  // Every operation of the disk behaves as `plan` says.
  void open_writer(journal::FaultPlan plan) {
    lane_.reset();
    writer_.reset();
    disk_ = std::make_unique<journal::FaultDisk>(&journal::real_disk(), plan, [] { std::abort(); });
    journal::WriterOptions options;
    options.disk = disk_.get();
    options.folder = folder_ + "/journal";
    options.segment_bytes = 256 * 1024;
    auto writer = journal::Writer::open(std::move(options));
    ASSERT_TRUE(writer.ok()) << writer.status().message();
    writer_ = writer.take();
    environment_.journal = writer_.get();
    environment_.backlog = &backlog_;
    environment_.spill_bytes_max = 64 * 1024;
    environment_.budget_ns = kBudgetNs;
    make_lane();
  }

  Postback& add_early(const std::string& id, Reason reason = Reason::none) {
    Postback& postback = make(id, reason);
    postback.origin_early = &early_;
    lane_->add(postback);
    return postback;
  }
  // Until the journal has answered `count` parts more.
  template <typename Condition>
  void wait_until(Condition condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!condition()) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline);
      mailbox_.drain();
      turn();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  // Time passes, and the lane notices.
  void pass(uint64_t time_ns) {
    loop_.now_ns_ += time_ns;
    lane_->tick(loop_.now_ns_);
    turn();
  }
  // Whatever is under way ends.
  void settle_down() {
    while (!store_->submitted.empty()) finish_batch(BatchResult::unavailable);
    wait_until([this] { return lane_->idle(); });
    turn();
  }
  PartnerBacklog& backlog() { return backlog_.of(partner_.id); }
  ReplayBatch& replay(const std::vector<std::string>& ids) {
    auto batch = std::make_unique<ReplayBatch>();
    batch->partner_id = 1;
    batch->reply_mailbox = &mailbox_;
    batch->reply_receiver = &replays_;
    int64_t row_id = 1000;
    for (const std::string& id : ids) {
      Conversion& conversion = batch->add_row().conversion;
      conversion.id = ++row_id;
      conversion.partner_id = 1;
      conversion.set(Field::conversion_id, id);
      conversion.set(Field::raw_data, "{}");
    }
    batches_.push_back(std::move(batch));
    lane_->replay(*batches_.back());
    turn();
    return *batches_.back();
  }

  std::string folder_;
  std::unique_ptr<journal::FaultDisk> disk_;
  std::unique_ptr<journal::Writer> writer_;
  Backlog backlog_;
  EarlyDoor early_;
  ReplayDoor replays_;
  std::vector<std::unique_ptr<ReplayBatch>> batches_;
};

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
  ASSERT_EQ(store_->submitted.size(), 1u);
  EXPECT_EQ(store_->submitted[0]->duplicate_count, 0) << "of the first attempt nothing counts";
  finish_batch(BatchResult::committed);
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

}  // namespace
}  // namespace postback::ingest
