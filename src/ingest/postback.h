// A postback on its way: made on the connection's core, sent to its lane, answered, and sent back.
// Owned by the pool of the connection's core; the lane holds it from add() until it sends the
// answer.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "partner/partner_table.h"
#include "postback/conversion.h"
#include "postback/message.h"

namespace postback::ingest {

enum class Outcome : uint8_t {
  pending,
  success,      // Its row is durable.
  accepted,     // Its record in the journal is durable; the database gets it later.
  duplicate,    // A row of the same id is durable.
  quarantined,  // Its quarantine row (or record) is durable; conversion.reason says why.
  unavailable,  // Not known to be durable; the sender may try again.
};
constexpr size_t kOutcomeCount = 6;

constexpr const char* outcome_name(Outcome outcome) {
  switch (outcome) {
    case Outcome::pending:
      return "pending";
    case Outcome::success:
      return "success";
    case Outcome::accepted:
      return "accepted";
    case Outcome::duplicate:
      return "duplicate";
    case Outcome::quarantined:
      return "quarantined";
    case Outcome::unavailable:
      return "unavailable";
  }
  return "pending";
}

struct Postback;
struct ReplayBatch;

// Sent ahead of a postback that is answered while its store still works on it: the answer goes out
// now, the postback itself follows when the store is done with it.
struct EarlyAnswer : Message {
  Postback* postback = nullptr;
  Outcome outcome = Outcome::pending;
};

struct Postback : Message {
  Conversion conversion;
  Outcome outcome = Outcome::pending;
  uint32_t slice = 0;  // Which lane of its partner.
  uint32_t origin_core = 0;
  MessageReceiver* origin = nullptr;        // On origin_core: receives the answered postback.
  MessageReceiver* origin_early = nullptr;  // Likewise, its `early`.
  uint64_t started_ns = 0;                  // Monotonic, when the request was complete.
  // The origin's own: which exchange waits, and the partner as it was when the call came (kept
  // alive by the partner table that `table_use` stands for).
  uint64_t exchange = 0;
  uint32_t connection = 0;
  const partner::PartnerEntry* partner = nullptr;
  void* table_use = nullptr;
  // The lane's own.
  uint64_t id_hash = 0;           // Of a call's conversion id, as DedupeSet::hash_of() has it.
  Postback* waiters = nullptr;    // Repeats that wait for this first copy, newest first.
  ReplayBatch* replay = nullptr;  // Not a call: a record of the journal on its way back.
  void* spill_part = nullptr;     // On its way into the journal: the part, and the place in it.
  uint32_t spill_index = 0;
  uint8_t id_changes = 0;   // How often its row got another id.
  bool with_store = false;  // In a batch that the store works on.
  bool journaled = false;   // Its record is durable.
  bool answered = false;    // By `early`.
  EarlyAnswer early;
};

// Postbacks of one core, reused. Grows on demand up to its bound; thread: the core's.
class PostbackPool {
 public:
  explicit PostbackPool(size_t count_max) : count_max_(count_max) {}

  // nullptr when as many as allowed are on their way.
  Postback* take() {
    if (free_.empty()) {
      if (all_.size() == count_max_) return nullptr;
      all_.push_back(std::make_unique<Postback>());
      free_.reserve(all_.capacity());
      return all_.back().get();
    }
    Postback* postback = free_.back();
    free_.pop_back();
    return postback;
  }
  void give_back(Postback* postback) {
    postback->conversion.clear();
    postback->outcome = Outcome::pending;
    postback->waiters = nullptr;
    postback->journaled = false;
    postback->id_changes = 0;
    postback->answered = false;
    postback->partner = nullptr;
    postback->table_use = nullptr;
    free_.push_back(postback);
  }
  size_t in_use() const { return all_.size() - free_.size(); }

 private:
  size_t count_max_;
  std::vector<std::unique_ptr<Postback>> all_;
  std::vector<Postback*> free_;
};

}  // namespace postback::ingest
