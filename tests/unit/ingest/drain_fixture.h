// The drain over a real journal on a real disk; what stands for the lanes and their databases is
// the test's: it answers each batch when, and as, it says.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "ingest/backlog.h"
#include "ingest/drain.h"
#include "ingest/replay.h"
#include "io/mailbox.h"
#include "journal/checkpoint.h"
#include "journal/reader.h"
#include "journal/writer.h"

namespace postback::ingest {

// Real time, and what the test adds to it. `hook` runs on the thread that asks.
class HookedClock final : public base::Clock {
 public:
  int64_t wall_us() const override { return base::system_clock().wall_us(); }
  uint64_t monotonic_ns() const override {
    if (hook != nullptr) hook();
    return base::system_clock().monotonic_ns() + added_ns.load();
  }
  std::function<void()> hook;  // Set while no other thread looks.
  std::atomic<uint64_t> added_ns{0};
};

class DrainFixture : public ::testing::Test, public MessageReceiver {
 protected:
  enum class Mode : uint8_t { store, hold, fail };
  struct Record {
    int32_t partner_id = 0;
    journal::Position position;
    journal::Owner owner;
  };
  static constexpr int kFrameRecords = 100;  // Of which a segment holds several.
  static constexpr uint64_t kSecond = 1'000'000'000;

  DrainFixture() {
    folder_ = std::filesystem::temp_directory_path() / "postback-drain-XXXXXX";
    EXPECT_NE(mkdtemp(folder_.data()), nullptr);
    journal_ = folder_ + "/journal";
    lanes_[0].replays = this;
    lanes_[1].replays = &second_lanes_;
    open();
  }
  ~DrainFixture() override {
    close();
    std::filesystem::remove_all(folder_);
  }

  void open() {
    journal::WriterOptions options;
    options.folder = journal_;
    options.segment_bytes = 64 * 1024;
    auto writer = journal::Writer::open(std::move(options));
    ASSERT_TRUE(writer.ok()) << writer.status().message();
    writer_ = writer.take();
    backlog_ = std::make_unique<Backlog>();
    ASSERT_TRUE(load_backlog(&journal::real_disk(), journal_, *writer_, 1000, backlog_.get()).ok());
    DrainEnvironment environment;
    environment.disk = &journal::real_disk();
    environment.writer = writer_.get();
    environment.folder = journal_;
    environment.backlog = backlog_.get();
    environment.clock = &clock_;
    environment.cores = {&core_, &second_core_};
    environment.lanes = &lanes_;
    drain_ = std::make_unique<Drain>(std::move(environment));
  }
  // How the records of a partner's lanes are marked.
  static journal::Owner owner(int32_t partner_id) {
    return journal::Owner("", partner_id, "p" + std::to_string(partner_id));
  }
  void start() { ASSERT_TRUE(drain_->start().ok()); }
  // As the server stops: nothing more is sent, and the lanes answer what was.
  void close() {
    if (drain_ == nullptr) return;
    drain_->stop();
    std::atomic<bool> joined{false};
    std::thread joiner([&] {
      drain_->join();
      joined = true;
    });
    while (!joined) {
      drain_cores();
      for (auto& [partner_id, mode] : modes_) {
        if (mode == Mode::hold) mode = Mode::fail;
      }
      serve();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    joiner.join();
    drain_.reset();
    writer_.reset();
  }

  void set_partners(const std::map<int32_t, int32_t>& lanes_by_id,
                    const std::function<void(Partner*)>& change = {}) {
    std::vector<std::shared_ptr<const partner::PartnerEntry>> entries;
    for (const auto& [id, lanes] : lanes_by_id) {
      auto entry = std::make_shared<partner::PartnerEntry>();
      entry->partner.id = id;
      entry->partner.partner_code = "p" + std::to_string(id);
      entry->partner.endpoint_path = "/p" + std::to_string(id);
      entry->partner.lanes = lanes;
      if (change) change(&entry->partner);
      entries.push_back(std::move(entry));
    }
    drain_->set_table(std::make_shared<partner::PartnerTable>(std::move(entries), ++version_));
  }

  // Durable, and counted, as a lane does it: away meanwhile. Returns the first row id.
  int64_t append(int32_t partner_id, int count, int settled_count = 0) {
    const int64_t first_id = next_id_;
    PartnerBacklog& backlog = backlog_->of(mark ? *mark : owner(partner_id));
    backlog.lane_away();
    for (int done = 0; done < count; done += kFrameRecords) {
      append_frame(partner_id, std::min(kFrameRecords, count - done), settled_count - done);
    }
    backlog.lane_back();
    return first_id;
  }
  void append_frame(int32_t partner_id, int count, int settled_count) {
    PartnerBacklog& backlog = backlog_->of(mark ? *mark : owner(partner_id));
    journal::Append append;
    const int64_t first_id = next_id_;
    for (int i = 0; i < count; ++i) {
      EXPECT_TRUE(
          append.add(make_conversion(next_id_++, partner_id), mark ? *mark : owner(partner_id)));
    }
    Door door;
    append.reply_mailbox = &appends_;
    append.reply_receiver = &door;
    writer_->append(&append);
    while (!door.open) {
      appends_.wait();
      appends_.drain();
    }
    EXPECT_EQ(append.result, journal::AppendResult::durable);
    uint64_t added = 0;
    for (int i = 0; i < count; ++i) {
      journal::Position position = append.first;
      position.record += static_cast<uint32_t>(i);
      records_[first_id + i] = {partner_id, position, mark ? *mark : owner(partner_id)};
      if (i >= settled_count) {
        ++added;
        continue;
      }
      database_[partner_id].insert(first_id + i);
      EXPECT_TRUE(backlog.settle(first_id + i));
    }
    backlog.add(added, 1'795'000'000'000'000);
  }
  static Conversion make_conversion(int64_t id, int32_t partner_id) {
    Conversion conversion;
    conversion.id = id;
    conversion.partner_id = partner_id;
    conversion.received_at_us = 1'795'000'000'000'000 + id;
    conversion.set(Field::conversion_id, "conversion-" + std::to_string(id));
    conversion.set(Field::raw_data, "{\"what\":\"some text that makes the record a bit longer\"}");
    return conversion;
  }

  // A batch arrives at the lanes of a core.
  void receive(Message& message) override { arrived(message, 0); }
  void arrived(Message& message, uint32_t core) {
    auto* batch = static_cast<ReplayBatch*>(&message);
    EXPECT_EQ(home_core(batch->partner_id, batch->slice, 2), core);
    waiting_.push_back(batch);
  }
  void drain_cores() {
    core_.drain();
    second_core_.drain();
  }
  // Answers what the modes allow, each lane's batches in order.
  void serve() {
    drain_cores();
    std::deque<ReplayBatch*> held;
    for (ReplayBatch* batch : std::exchange(waiting_, {})) {
      const Mode mode = modes_[batch->partner_id];
      if (mode == Mode::hold) {
        held.push_back(batch);
      } else {
        answer(batch, mode == Mode::store);
      }
    }
    waiting_.insert(waiting_.begin(), held.begin(), held.end());
  }
  void answer(ReplayBatch* batch, bool done) {
    for (size_t i = 0; i < batch->row_count; ++i) {
      const Conversion& row = batch->rows[i]->conversion;
      EXPECT_EQ(row.partner_id, batch->partner_id);
      if (backlog_->of(owner(batch->partner_id)).is_settled(row.id)) {
        batch->settled.push_back(row.id);
        continue;
      }
      if (!done && i % 2 == 1) continue;  // Some rows of a failed batch are stored all the same.
      if (database_[batch->partner_id].insert(row.id).second) {
        stored_order_[batch->partner_id].push_back(row.id);
      }
      ++batch->stored;
    }
    batch->done = done;
    batch->receiver = batch->reply_receiver;
    batch->reply_mailbox->post(*batch);
  }

  void pump(std::chrono::milliseconds time) {
    const auto end = std::chrono::steady_clock::now() + time;
    do {
      serve();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    } while (std::chrono::steady_clock::now() < end);
  }
  // False when it does not come true in 20 s.
  template <typename Condition>
  bool comes_true(Condition condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      serve();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
  }
  uint64_t waiting(int32_t partner_id) const { return backlog_->of(owner(partner_id)).waiting(); }
  bool is_stored(int64_t row_id) {
    return database_[records_.at(row_id).partner_id].contains(row_id);
  }
  journal::Checkpoint checkpoint() const {
    auto loaded = journal::load_checkpoint(&journal::real_disk(), journal_);
    EXPECT_TRUE(loaded.ok());
    return loaded.value().checkpoint;
  }
  // What the checkpoint calls drained is in the database: everything hangs on this.
  void expect_checkpoint_is_true() {
    const journal::Checkpoint now = checkpoint();
    for (const auto& [id, record] : records_) {
      if (!now.drained(record.owner, record.position)) continue;
      EXPECT_TRUE(is_stored(id)) << "row " << id << " of partner " << record.partner_id
                                 << " is passed by the checkpoint";
    }
  }
  // With no drain running: every record is in the database, or can be read in the journal.
  void expect_nothing_is_lost() {
    expect_checkpoint_is_true();
    journal::ReaderOptions options;
    options.frames.disk = &journal::real_disk();
    options.frames.folder = journal_;
    options.frames.segments = journal::list_segments(&journal::real_disk(), journal_).take();
    options.frames.checkpoint = checkpoint();
    journal::Reader reader(std::move(options));
    std::set<int64_t> readable;
    auto step = reader.next();
    for (; step == journal::ReaderStep::record || step == journal::ReaderStep::gap;
         step = reader.next()) {
      EXPECT_NE(step, journal::ReaderStep::gap) << journal::gap_text(reader.gap());
      if (step == journal::ReaderStep::record) readable.insert(reader.conversion().id);
    }
    EXPECT_EQ(step, journal::ReaderStep::end) << reader.status().message();
    for (const auto& [id, record] : records_) {
      EXPECT_TRUE(is_stored(id) || readable.contains(id)) << "row " << id << " is lost";
    }
  }

  class SecondLanes final : public MessageReceiver {
   public:
    explicit SecondLanes(DrainFixture* fixture) : fixture_(fixture) {}
    void receive(Message& message) override { fixture_->arrived(message, 1); }

   private:
    DrainFixture* const fixture_;
  };
  class Door final : public MessageReceiver {
   public:
    void receive(Message&) override { open = true; }
    bool open = false;
  };

  std::string folder_;
  std::string journal_;
  HookedClock clock_;
  io::Mailbox core_{nullptr};
  io::Mailbox second_core_{nullptr};
  SecondLanes second_lanes_{this};
  std::vector<LaneReceivers> lanes_{2};
  io::Mailbox appends_{nullptr};
  std::unique_ptr<journal::Writer> writer_;
  std::unique_ptr<Backlog> backlog_;
  std::unique_ptr<Drain> drain_;
  uint64_t version_ = 0;
  int64_t next_id_ = 1;
  std::map<int64_t, Record> records_;                     // By row id: everything acknowledged.
  std::map<int32_t, std::set<int64_t>> database_;         // By partner.
  std::map<int32_t, std::vector<int64_t>> stored_order_;  // As they were stored first.
  std::optional<journal::Owner> mark;  // Of the records that append() makes, instead of their own.
  std::map<int32_t, Mode> modes_;      // By partner.
  std::deque<ReplayBatch*> waiting_;
};

}  // namespace postback::ingest
