// A lane over a fake store with a real journal behind it.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "ingest/owner_routes.h"
#include "journal/fault_disk.h"
#include "journal/writer.h"
#include "lane_fixture.h"

namespace postback::ingest {

constexpr uint64_t kBudgetNs = 1'000'000'000;

class JournalLaneFixture : public LaneFixture {
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

  JournalLaneFixture() {
    folder_ = std::filesystem::temp_directory_path() / "postback-lane-XXXXXX";
    EXPECT_NE(mkdtemp(folder_.data()), nullptr);
    open_writer({});
  }
  ~JournalLaneFixture() override {
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
  PartnerBacklog& backlog() { return backlog_.of(owner_of(partner_)); }
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

}  // namespace postback::ingest
