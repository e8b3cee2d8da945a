// What the journal's tests share: conversions, a client that appends and waits, reading everything.
#pragma once

#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "fake_disk.h"
#include "io/mailbox.h"
#include "journal/reader.h"
#include "journal/writer.h"

namespace postback::journal {

constexpr uint64_t kSmallSegmentBytes = 32 * 1024;
constexpr const char* kFolder = "journal";

// Every field that a conversion of this partner may have, made from `id`.
Conversion make_conversion(int64_t id, int32_t partner_id = 1);
Conversion random_conversion(std::mt19937_64* random);
// As bytes: two conversions are equal when these are.
std::string bytes_of(const Conversion& conversion);

// A clock that a test sets.
class FakeClock final : public base::Clock {
 public:
  int64_t wall_us() const override { return 1'700'000'000'000'000; }
  uint64_t monotonic_ns() const override { return now_ns_.load(); }
  void advance_ns(uint64_t by) { now_ns_ += by; }

 private:
  std::atomic<uint64_t> now_ns_ = 1'000'000'000'000;
};

// Appends from the test's thread.
class Client : public MessageReceiver {
 public:
  explicit Client(Writer* writer) : writer_(writer) {}
  // One append with `count` records from `first_id` on; waits for its answer.
  AppendResult append(int64_t first_id, int count = 1, const Owner& owner = 1);
  AppendResult append(const std::vector<Conversion>& conversions, const Owner& owner = {});
  AppendResult probe() { return append(std::vector<Conversion>()); }
  Position last_position() const { return last_position_; }
  // Ids that were acknowledged, and those that were given away without success.
  const std::set<int64_t>& acknowledged() const { return acknowledged_; }

  // Several at once: start() each, then wait for all.
  void start(int64_t id, int32_t partner_id);
  void wait_for_all();

 private:
  void receive(Message& message) override;

  Writer* const writer_;
  io::Mailbox mailbox_{nullptr};
  std::vector<std::unique_ptr<Append>> outstanding_;
  size_t answered_ = 0;
  AppendResult last_result_ = AppendResult::pending;
  Position last_position_;
  std::set<int64_t> acknowledged_;
};

// Deterministic salts.
WriterOptions writer_options(Disk* disk, const base::Clock* clock,
                             const std::string& folder = kFolder);

struct Everything {
  std::vector<int64_t> ids;  // In order.
  std::vector<Position> positions;
  std::vector<Gap> gaps;
  std::vector<TornTail> torn;
  bool failed = false;
  std::string error;
  bool has(int64_t id) const;
};
// Reads the journal without changing it.
Everything read_everything(Disk* disk, const Checkpoint* checkpoint = nullptr,
                           const std::string& folder = kFolder);

}  // namespace postback::journal
