// A lane's way into the journal: postbacks whose database is away or late are written down as
// records, in parts that become durable together. A part goes to the journal's writer as soon as
// the one before it but one is back; meanwhile the next one grows.
//
// Owner: the lane. Thread: its core's. No call blocks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "ingest/postback.h"
#include "io/mailbox.h"
#include "journal/owner.h"
#include "journal/writer.h"

namespace postback::ingest {

class SpillClient {
 public:
  // The postbacks of a part, in the order of add(), and the row ids of those that were forgotten.
  // `durable`: their records are on the disk; otherwise they are not known to be.
  virtual void spilled(const std::vector<Postback*>& postbacks,
                       const std::vector<int64_t>& forgotten, bool durable) = 0;

 protected:
  ~SpillClient() = default;
};

class Spill final : public MessageReceiver {
 public:
  // `writer` nullptr: there is no journal. `mailbox`: of the core. All outlive it. `owner`: how the
  // records are marked.
  Spill(journal::Writer* writer, size_t part_bytes_max, io::Mailbox* mailbox, SpillClient* client,
        journal::Owner owner = {});
  ~Spill();  // idle().
  Spill(const Spill&) = delete;
  Spill& operator=(const Spill&) = delete;

  bool available() const { return writer_ != nullptr; }
  // Whether the last part became durable: false from one that was refused, failed or was given up
  // until the journal takes something again, which tick() asks.
  bool takes() const { return available() && !refuses_; }
  // Writes the conversion down; its row id is set. The outcome follows through spilled(), never
  // from within. False: no journal, or no record may be that large. `now_ns`: monotonic.
  [[nodiscard]] bool add(Postback& postback, uint64_t now_ns);
  // The outcome of a postback that was added is not asked for any more: it may be destroyed.
  void forget(Postback& postback);
  // Hands the writer what it can take.
  void flush();
  // Parts that were begun before that time are reported as not durable, now, and let go of their
  // postbacks: the disk hangs. Those that the writer has may become durable all the same.
  void give_up_before(uint64_t time_ns);
  void tick(uint64_t now_ns);
  bool idle() const { return in_flight_.empty() && parts_.empty(); }
  // The writer owes an answer about records.
  bool is_owed() const { return !parts_.empty() || in_flight_.size() > (asks_ ? 1 : 0); }

  void receive(Message& message) override;  // The writer's answer.

 private:
  struct Part : journal::Append {
    std::vector<Postback*> postbacks;
    std::vector<int64_t> forgotten;
    uint64_t begun_ns = 0;
  };

  std::unique_ptr<Part> take_part(uint64_t now_ns);
  void hand_over(std::unique_ptr<Part> part);
  void report(Part* part, bool durable);

  static constexpr size_t kPartsInFlightMax = 2;
  static constexpr size_t kFreePartsMax = kPartsInFlightMax + 1;
  static constexpr size_t kFreePartBytesMax = 256 * 1024;
  static constexpr uint64_t kAskNs = 500'000'000;

  journal::Writer* const writer_;
  const size_t part_bytes_max_;
  io::Mailbox* const mailbox_;
  SpillClient* const client_;
  const journal::Owner owner_;
  std::vector<std::unique_ptr<Part>> parts_;  // Not given to the writer yet, oldest first.
  std::vector<std::unique_ptr<Part>> free_;
  std::vector<Part*> in_flight_;  // With the writer, oldest first.
  bool refuses_ = false;
  bool asks_ = false;  // A part without records is with the writer.
  uint64_t asked_ns_ = 0;
};

}  // namespace postback::ingest
