// A lane whose database fails for one row, or for all, without saying which: time limits, missing
// functions, crashes. What stands for the drain sends the records in order, batch after batch, and
// again from the first one that is not done.
#include <deque>
#include <set>
#include <string>
#include <vector>

#include "journal_lane_fixture.h"

namespace postback::ingest {
namespace {

class LaneSuspectsTest : public JournalLaneFixture,
                         public ::testing::WithParamInterface<BatchResult> {
 protected:
  struct Row {
    std::string id;
    int64_t row_id;
  };

  static bool holds(const Batch& batch, const std::set<std::string>& ids) {
    for (const BatchRow& row : batch.conversions) {
      if (ids.contains(std::string(row.conversion->text(Field::conversion_id)))) return true;
    }
    return false;
  }
  // The database answers what is with it; a failure costs it the connection.
  void serve() {
    while (!store_->submitted.empty()) {
      Batch& batch = *store_->submitted.front();
      ++batches_;
      const bool fails = all_fail_ || holds(batch, poison_);
      for (const BatchRow& row : batch.conversions) {
        if (fails) continue;
        stored_.insert(std::string(row.conversion->text(Field::conversion_id)));
      }
      for (const Conversion* row : batch.quarantined) {
        if (!fails) quarantined_.insert(std::string(row->text(Field::conversion_id)));
      }
      if (!fails) {
        batch.sample_found = batch.sample.size();
        finish_batch(BatchResult::committed);
        continue;
      }
      ++failures_;
      store_->accepting = false;  // From the failure on, before the lane hears of it.
      while (!store_->submitted.empty()) finish_batch(GetParam());
      set_state(GetParam() == BatchResult::schema ? StoreState::schema_wrong : StoreState::down);
      store_->accepting = true;
      set_state(StoreState::up);
    }
  }
  // One pass of the drain.
  void drain_pass() {
    std::vector<ReplayBatch*> sent;
    std::vector<std::vector<Row>> parts;
    const size_t rows = std::min(batch_rows_, backlog().batch_rows());
    for (size_t at = 0; at < journal_.size() && sent.size() < 3; at += rows) {
      const size_t end = std::min(at + rows, journal_.size());
      std::vector<Row> part(journal_.begin() + static_cast<ptrdiff_t>(at),
                            journal_.begin() + static_cast<ptrdiff_t>(end));
      sent.push_back(&send(part));
      parts.push_back(std::move(part));
    }
    for (int round = 0; round < 400 && returned_count() < sent.size(); ++round) {
      serve();
      mailbox_.drain();
      turn();
      // A row that is moved waits for the disk, whose time is not the test's.
      wait_until([this] { return !backlog().is_away(); });
      pass(10'000'000);
    }
    ASSERT_EQ(returned_count(), sent.size());
    replays_.returned.clear();
    for (size_t i = 0; i < sent.size() && sent[i]->done; ++i) {
      backlog().remove(sent[i]->row_count);
      for (const Row& row : parts[i]) {
        journal_.pop_front();
        if (sent[i]->moved > 0 && poison_.contains(row.id)) journal_.push_back(row);
      }
      moved_ += sent[i]->moved;
    }
  }
  size_t returned_count() const { return replays_.returned.size(); }
  ReplayBatch& send(const std::vector<Row>& rows) {
    auto batch = std::make_unique<ReplayBatch>();
    batch->partner_id = 1;
    batch->reply_mailbox = &mailbox_;
    batch->reply_receiver = &replays_;
    for (const Row& row : rows) {
      Conversion& conversion = batch->add_row().conversion;
      conversion.id = row.row_id;
      conversion.partner_id = 1;
      conversion.received_at_us = 1'795'000'000'000'000;
      conversion.set(Field::conversion_id, row.id);
      conversion.set(Field::raw_data, "{}");
    }
    batches_sent_.push_back(std::move(batch));
    lane_->replay(*batches_sent_.back());
    turn();
    return *batches_sent_.back();
  }
  void fill_journal(int count) {
    for (int i = 0; i < count; ++i) journal_.push_back({"id" + std::to_string(i), 1000 + i});
    backlog().add(static_cast<uint64_t>(count), 1);
  }

  std::deque<Row> journal_;
  size_t batch_rows_ = 1000;
  std::set<std::string> poison_;
  bool all_fail_ = false;
  std::set<std::string> stored_;
  std::set<std::string> quarantined_;
  int failures_ = 0;
  int batches_ = 0;
  uint64_t moved_ = 0;
  std::vector<std::unique_ptr<ReplayBatch>> batches_sent_;
};

TEST_P(LaneSuspectsTest, ARowThatAloneFailsIsQuarantinedAndTheRestGoesOn) {
  for (const int place : {0, 700, 1999}) {
    SCOPED_TRACE(place);
    journal_.clear();
    stored_.clear();
    quarantined_.clear();
    failures_ = 0;
    make_lane();
    fill_journal(2000);
    poison_ = {"id" + std::to_string(place)};
    for (int passes = 0; passes < 400 && !journal_.empty(); ++passes) {
      drain_pass();
      if (journal_.size() <= 1) {  // The others are stored: what comes live tells that it works.
        add("live" + std::to_string(place) + "-" + std::to_string(passes));
        turn();
        serve();
      }
    }
    EXPECT_TRUE(journal_.empty());
    EXPECT_EQ(quarantined_, poison_);
    for (int i = 0; i < 2000; ++i) {
      if (i == place) continue;
      EXPECT_TRUE(stored_.contains("id" + std::to_string(i))) << i;
    }
    EXPECT_LE(failures_, 8) << "each may be a crash of the server";
    EXPECT_FALSE(dedupe_.contains(1, *poison_.begin()));
    EXPECT_FALSE(backlog().stuck().longest().has_value());
  }
}

TEST_P(LaneSuspectsTest, SeveralRowsAreFoundOneAfterTheOther) {
  fill_journal(500);
  poison_ = {"id3", "id4", "id250", "id499"};
  for (int passes = 0; passes < 1000 && !journal_.empty(); ++passes) {
    drain_pass();
    add("live" + std::to_string(passes));
    turn();
    serve();
  }
  EXPECT_TRUE(journal_.empty());
  EXPECT_EQ(quarantined_, poison_);
}

TEST_P(LaneSuspectsTest, ADatabaseThatFailsWholeIsAnOutageHoweverLong) {
  batch_rows_ = 5;
  fill_journal(20);
  all_fail_ = true;
  for (int passes = 0; passes < 100; ++passes) drain_pass();
  EXPECT_GE(failures_, 8);
  EXPECT_EQ(journal_.size(), 20u);
  ASSERT_TRUE(backlog().stuck().longest().has_value());
  EXPECT_EQ(backlog().stuck().longest()->error, "told by the test");
  all_fail_ = false;
  for (int passes = 0; passes < 100 && !journal_.empty(); ++passes) drain_pass();
  EXPECT_TRUE(journal_.empty());
  EXPECT_EQ(stored_.size(), 20u);
  EXPECT_TRUE(quarantined_.empty());
  EXPECT_FALSE(backlog().stuck().longest().has_value());
}

// Rows that were stored before are no sign that the database takes any now.
TEST_P(LaneSuspectsTest, RowsThatAreThereAlreadyDoNotMakeAnOutageTheFaultOfOthers) {
  fill_journal(3);
  for (int round = 0; round < 30; ++round) {
    ReplayBatch& old = send({{"old", 7}});
    finish_batch(BatchResult::committed, RowResult::duplicate);
    mailbox_.drain();
    EXPECT_TRUE(old.done);
    replays_.returned.clear();
    all_fail_ = true;
    drain_pass();
    all_fail_ = false;
    pass(2'000'000'000);
  }
  EXPECT_EQ(journal_.size(), 3u);
  EXPECT_TRUE(quarantined_.empty());
}

TEST_P(LaneSuspectsTest, TheRowThatIsStuckIsNamedWithTheDatabasesWords) {
  fill_journal(1);
  poison_ = {"id0"};
  for (int passes = 0; passes < 5; ++passes) drain_pass();
  EXPECT_EQ(journal_.size(), 1u) << "nothing else shows that the database works";
  const auto stuck = backlog().stuck().longest();
  ASSERT_TRUE(stuck.has_value());
  EXPECT_EQ(stuck->conversion_id, "id0");
  EXPECT_EQ(stuck->row_id, 1000);
  EXPECT_EQ(stuck->error, "told by the test");
}

// Without a journal nothing keeps the row; its sender does, and sends it again.
TEST_P(LaneSuspectsTest, WithoutAJournalARowThatIsSentAgainIsFoundAsWell) {
  environment_.journal = nullptr;
  environment_.backlog = nullptr;
  make_lane();
  poison_ = {"poison"};
  int sent = 0;
  Outcome outcome = Outcome::pending;
  for (; sent < 12 && outcome != Outcome::quarantined; ++sent) {
    add("good" + std::to_string(sent));
    turn();
    serve();
    const Postback& poison = add("poison");
    for (int i = 0; i < 5; ++i) add("beside" + std::to_string(sent) + "-" + std::to_string(i));
    turn();
    serve();
    outcome = poison.outcome;
  }
  EXPECT_EQ(outcome, Outcome::quarantined);
  EXPECT_LE(sent, 6);
  add("good");
  turn();
  serve();
  EXPECT_TRUE(stored_.contains("good"));
}

TEST_P(LaneSuspectsTest, LargeBatchesAreCutForADatabaseThatFailedOne) {
  fill_journal(2000);
  drain_pass();
  EXPECT_EQ(batches_, 2) << "a thousand each";
  batches_ = 0;
  fill_journal(1000);
  all_fail_ = true;
  drain_pass();
  all_fail_ = false;
  EXPECT_EQ(backlog().batch_rows(), 31u) << "the drain's batches follow";
  for (int passes = 0; passes < 100 && !journal_.empty(); ++passes) drain_pass();
  EXPECT_GE(batches_, 30);
  EXPECT_TRUE(journal_.empty());
  EXPECT_GT(backlog().batch_rows(), 31u) << "and come back";
}

INSTANTIATE_TEST_SUITE_P(Failures, LaneSuspectsTest,
                         testing::Values(BatchResult::schema, BatchResult::unavailable),
                         [](const auto& info) {
                           return info.param == BatchResult::schema ? "schema" : "unavailable";
                         });

}  // namespace
}  // namespace postback::ingest
