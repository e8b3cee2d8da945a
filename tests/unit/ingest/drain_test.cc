// The drain: what is in the journal reaches the databases in order, whatever the lanes do, and the
// checkpoint never says more than is true.
#include <algorithm>
#include <random>

#include "drain_fixture.h"
#include "ingest/limits.h"

namespace postback::ingest {
namespace {

using DrainTest = DrainFixture;

TEST_F(DrainTest, BringsEveryRecordInOrderAndNotesIt) {
  set_partners({{1, 1}});
  for (int i = 0; i < 5; ++i) append(1, 700);
  start();
  ASSERT_TRUE(comes_true([this] { return waiting(1) == 0; }));
  EXPECT_EQ(database_[1].size(), 3500u);
  EXPECT_TRUE(std::is_sorted(stored_order_[1].begin(), stored_order_[1].end()));
  EXPECT_EQ(backlog_->of(owner(1)).drained().stored, 3500u);
  ASSERT_TRUE(
      comes_true([this] { return checkpoint().drained(owner(1), records_.at(3500).position); }));
  expect_checkpoint_is_true();
  close();
  EXPECT_LE(journal::list_segments(&journal::real_disk(), journal_).value().size(), 3u)
      << "drained segments are deleted";
  expect_nothing_is_lost();
}

// As live postbacks are: a record that went to another lane than its id's would be stored there,
// and a repeat would meet a lane that knows nothing of it.
TEST_F(DrainTest, RecordsGoToTheLaneOfTheirIdsSlice) {
  set_partners({{1, 3}});
  append(1, 2000);
  Partner partner;
  partner.id = 1;
  partner.lanes = 3;
  modes_[1] = Mode::hold;
  start();
  std::map<uint32_t, size_t> rows_by_slice;
  while (waiting(1) > 0) {
    ASSERT_TRUE(comes_true([this] { return !waiting_.empty() || waiting(1) == 0; }));
    for (ReplayBatch* batch : std::exchange(waiting_, {})) {
      for (size_t i = 0; i < batch->row_count; ++i) {
        const Conversion& row = batch->rows[i]->conversion;
        EXPECT_EQ(slice_of(partner, row.text(Field::conversion_id)), batch->slice);
      }
      rows_by_slice[batch->slice] += batch->row_count;
      answer(batch, true);
    }
    drain_cores();
  }
  ASSERT_EQ(rows_by_slice.size(), 3u);
  for (const auto& [slice, count] : rows_by_slice) EXPECT_GT(count, 400u) << slice;
  EXPECT_EQ(database_[1].size(), 2000u);
  close();
  expect_nothing_is_lost();
}

// A kill in the middle of a long drain must not make all of it be done again.
TEST_F(DrainTest, TheCheckpointMovesInMidPass) {
  set_partners({{1, 1}});
  for (int i = 0; i < 10; ++i) append(1, 1000);
  modes_[1] = Mode::hold;
  start();
  ASSERT_TRUE(comes_true([this] { return waiting_.size() == 3; }));
  // One at a time, so that the lane is never stuck and the pass goes on reading; three are out when
  // two seconds have passed, and the pass has not come to its end.
  for (int i = 0; i < 5; ++i) {
    answer(waiting_.front(), true);
    waiting_.pop_front();
    clock_.added_ns += 2 * kSecond / 5;
    ASSERT_TRUE(comes_true([this] { return waiting_.size() == 3; }));
  }
  // It is written between two records, perhaps after the third batch went out.
  EXPECT_TRUE(
      comes_true([this] { return checkpoint().drained(owner(1), records_.at(1500).position); }));
  EXPECT_FALSE(checkpoint().drained(owner(1), records_.at(5500).position));
  expect_checkpoint_is_true();
}

TEST_F(DrainTest, WhileOneSliceHangsTheCheckpointStaysInFrontOfIt) {
  set_partners({{1, 2}});
  append(1, 4000);
  modes_[1] = Mode::hold;
  start();
  ASSERT_TRUE(comes_true([this] { return waiting_.size() >= 2; }));
  const uint32_t slow = waiting_.front()->slice;
  for (int i = 0; i < 30; ++i) {
    drain_cores();
    std::deque<ReplayBatch*> held;
    for (ReplayBatch* batch : std::exchange(waiting_, {})) {
      if (batch->slice == slow) {
        held.push_back(batch);
      } else {
        answer(batch, true);
      }
    }
    waiting_ = std::move(held);
    clock_.added_ns += kSecond / 5;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    expect_checkpoint_is_true();
  }
  modes_[1] = Mode::store;
  EXPECT_TRUE(comes_true([this] { return database_[1].size() == 4000; }));
  ASSERT_TRUE(comes_true([this] { return waiting(1) == 0; }));
  close();
  expect_nothing_is_lost();
}

TEST_F(DrainTest, APartnerThatFailsDoesNotHoldUpTheOthersAndComesLater) {
  set_partners({{1, 1}, {2, 1}});
  for (int i = 0; i < 4; ++i) {
    append(1, 600);
    append(2, 600);
  }
  modes_[1] = Mode::fail;
  start();
  ASSERT_TRUE(comes_true([this] { return waiting(2) == 0; }));
  EXPECT_EQ(waiting(1), 2400u);
  expect_checkpoint_is_true();
  modes_[1] = Mode::store;
  ASSERT_TRUE(comes_true([this] { return waiting(1) == 0; }));
  close();
  expect_nothing_is_lost();
}

TEST_F(DrainTest, APartnerThatHangsDoesNotHoldUpTheOthers) {
  set_partners({{1, 1}, {2, 1}});
  append(1, 10);
  modes_[1] = Mode::hold;
  start();
  ASSERT_TRUE(comes_true([this] { return !waiting_.empty(); }));
  for (int i = 0; i < 3; ++i) {
    append(2, 10);
    EXPECT_TRUE(comes_true([this] { return waiting(2) == 0; })) << "round " << i;
  }
  EXPECT_EQ(waiting(1), 10u);
  modes_[1] = Mode::store;
  ASSERT_TRUE(comes_true([this] { return waiting(1) == 0; }));
}

TEST_F(DrainTest, ALaneWithManySlicesThatHangsDoesNotHoldUpTheOthers) {
  set_partners({{1, 64}, {2, 1}});
  for (int i = 0; i < 20; ++i) append(1, 500);
  append(2, 3000);
  modes_[1] = Mode::hold;
  start();
  EXPECT_TRUE(comes_true([this] { return waiting(2) == 0; }));
  modes_[1] = Mode::store;
  ASSERT_TRUE(comes_true([this] { return waiting(1) == 0; }));
}

TEST_F(DrainTest, ASlowDatabaseMakesProgressAllTheSame) {
  set_partners({{1, 1}});
  for (int i = 0; i < 10; ++i) append(1, 1000);
  modes_[1] = Mode::hold;
  start();
  // Every batch takes longer than the drain waits for a lane.
  for (int round = 0; round < 3; ++round) {
    const uint64_t waiting_before = waiting(1);
    ASSERT_TRUE(comes_true([this] { return waiting_.size() == 3; }));
    clock_.added_ns += 3 * kSecond / 2;
    pump(std::chrono::milliseconds(200));
    while (!waiting_.empty()) {
      answer(waiting_.front(), true);
      waiting_.pop_front();
    }
    EXPECT_TRUE(comes_true([&] { return waiting(1) == waiting_before - 3000; }));
    clock_.added_ns += kSecond;
  }
  expect_checkpoint_is_true();
}

TEST_F(DrainTest, ARecordThatIsAddedAsThePassBeginsIsNotForgotten) {
  set_partners({{1, 1}});
  // The clock is asked on the drain's thread, between its steps: at each of them a record may
  // become durable and be counted.
  const auto test_thread = std::this_thread::get_id();
  std::atomic<int> calls_left{0};
  clock_.hook = [&] {
    if (std::this_thread::get_id() == test_thread || calls_left == 0) return;
    if (calls_left.fetch_sub(1) == 1) append(1, 1);
  };
  start();
  for (int calls = 1; calls < 10; ++calls) {
    calls_left = calls;
    ASSERT_TRUE(comes_true([&] { return calls_left == 0; }));
    ASSERT_TRUE(comes_true([this] { return waiting(1) == 0; })) << "call " << calls;
  }
  close();  // The hook refers to what is here.
}

TEST_F(DrainTest, WhatIsAppendedDuringAPassIsDrainedByTheNext) {
  set_partners({{1, 1}});
  append(1, 100);
  modes_[1] = Mode::hold;
  start();
  ASSERT_TRUE(comes_true([this] { return !waiting_.empty(); }));
  append(1, 100);
  modes_[1] = Mode::store;
  ASSERT_TRUE(comes_true([this] { return waiting(1) == 0; }));
  EXPECT_EQ(database_[1].size(), 200u);
}

TEST_F(DrainTest, RecordsOfAPartnerThatIsGoneStayInTheJournal) {
  set_partners({{2, 1}});
  append(1, 500);
  for (int i = 0; i < 6; ++i) append(2, 500);
  start();
  ASSERT_TRUE(comes_true([this] { return waiting(2) == 0; }));
  EXPECT_EQ(waiting(1), 500u);
  close();
  expect_nothing_is_lost();
  open();
  EXPECT_EQ(waiting(1), 500u);
  set_partners({{1, 1}, {2, 1}});
  start();
  ASSERT_TRUE(comes_true([this] { return waiting(1) == 0; }));
  EXPECT_EQ(database_[1].size(), 500u);
}

TEST_F(DrainTest, RowsThatAreSettledArePassedOverAndForgotten) {
  set_partners({{1, 1}});
  const int64_t first_id = append(1, 100, 40);
  start();
  ASSERT_TRUE(comes_true([this] { return waiting(1) == 0; }));
  ASSERT_TRUE(comes_true([&] { return !backlog_->of(owner(1)).is_settled(first_id); }));
  EXPECT_EQ(stored_order_[1].size(), 60u);
  EXPECT_EQ(backlog_->of(owner(1)).drained().stored, 60u);
  close();
  expect_nothing_is_lost();
}

TEST_F(DrainTest, ARecordThatWasWrittenAnewBehindAFailedBatchIsNotReadAgain) {
  set_partners({{1, 1}});
  backlog_->of(owner(1)).set_batch_rows(1);
  const int64_t first_id = append(1, 3);
  modes_[1] = Mode::hold;
  start();
  ASSERT_TRUE(comes_true([this] { return waiting_.size() == 3; }));
  const std::deque<ReplayBatch*> sent = std::exchange(waiting_, {});
  sent[0]->done = false;
  sent[0]->receiver = sent[0]->reply_receiver;
  sent[0]->reply_mailbox->post(*sent[0]);
  backlog_->of(owner(1)).add(
      1, 1'795'000'000'000'000);  // Its new copy, which this test does not need.
  sent[1]->moved = 1;
  sent[1]->rows[0]->outcome = Outcome::accepted;
  sent[1]->done = true;
  sent[1]->receiver = sent[1]->reply_receiver;
  sent[1]->reply_mailbox->post(*sent[1]);
  answer(sent[2], false);
  modes_[1] = Mode::store;
  ASSERT_TRUE(comes_true([this] { return waiting(1) == 1; }));
  EXPECT_TRUE(is_stored(first_id));
  EXPECT_FALSE(is_stored(first_id + 1));
  EXPECT_TRUE(is_stored(first_id + 2));
}

TEST_F(DrainTest, ARecordThatWasWrittenAnewBeforeABatchInFrontFailedIsNotReadAgain) {
  set_partners({{1, 1}});
  backlog_->of(owner(1)).set_batch_rows(2);
  const int64_t first_id = append(1, 6);
  modes_[1] = Mode::hold;
  start();
  ASSERT_TRUE(comes_true([this] { return waiting_.size() == 3; }));
  const std::deque<ReplayBatch*> sent = std::exchange(waiting_, {});
  backlog_->of(owner(1)).add(
      1, 1'795'000'000'000'000);  // Its new copy, which this test does not need.
  sent[1]->moved = 1;
  sent[1]->rows[1]->outcome = Outcome::accepted;
  sent[1]->done = true;
  sent[1]->receiver = sent[1]->reply_receiver;
  sent[1]->reply_mailbox->post(*sent[1]);
  sent[0]->done = false;
  sent[0]->receiver = sent[0]->reply_receiver;
  sent[0]->reply_mailbox->post(*sent[0]);
  answer(sent[2], false);
  modes_[1] = Mode::store;
  ASSERT_TRUE(comes_true([this] { return waiting(1) == 1; }));
  for (int64_t i = 0; i < 6; ++i) EXPECT_EQ(is_stored(first_id + i), i != 3) << i;
}

TEST_F(DrainTest, StopsWhileABatchIsOut) {
  set_partners({{1, 1}});
  for (int i = 0; i < 6; ++i) append(1, 1000);
  modes_[1] = Mode::hold;
  start();
  ASSERT_TRUE(comes_true([this] { return waiting_.size() == 3; }));
  close();  // Fails what is held.
  expect_nothing_is_lost();
}

// Whatever comes in whatever order: the checkpoint is true at all times, and in the end all is
// stored. Each run has its own seed.
TEST_F(DrainTest, NothingIsLostWhateverTheLanesDo) {
  const uint64_t seed = std::random_device()();
  RecordProperty("seed", std::to_string(seed));
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  const auto below = [&](uint64_t bound) { return random() % bound; };
  std::map<int32_t, int32_t> partners{{1, 1}, {2, 2}, {3, 3}, {4, 1}};
  set_partners(partners);
  start();
  for (int step = 0; step < 250; ++step) {
    const auto partner_id = static_cast<int32_t>(1 + below(4));
    switch (below(8)) {
      case 0:
      case 1:
      case 2: {
        const auto count = static_cast<int>(1 + below(400));
        append(partner_id, count, below(3) == 0 ? static_cast<int>(below(count)) : 0);
        break;
      }
      case 3:
        modes_[partner_id] = static_cast<Mode>(below(3));
        break;
      case 4:
        clock_.added_ns += below(2 * kSecond);
        break;
      case 5:
        if (below(3) == 0) {
          partners.erase(partner_id);
        } else {
          partners[partner_id] = static_cast<int32_t>(1 + below(4));
        }
        set_partners(partners);
        break;
      case 6:
        expect_checkpoint_is_true();
        break;
      default:
        if (step % 50 == 49) {
          close();
          expect_nothing_is_lost();
          open();
          set_partners(partners);
          start();
        }
        break;
    }
    pump(std::chrono::milliseconds(below(10)));
  }
  modes_.clear();
  set_partners({{1, 1}, {2, 2}, {3, 3}, {4, 1}});
  EXPECT_TRUE(comes_true([this] { return backlog_->waiting() == 0; }));
  close();
  expect_nothing_is_lost();
  for (const auto& [id, record] : records_) EXPECT_TRUE(is_stored(id)) << id;
}

}  // namespace
}  // namespace postback::ingest
