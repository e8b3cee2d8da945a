// How many batches one core lets a database server work on at once, over all lanes. With many
// partners on one server each lane alone would send its few rows as soon as it can, and the server
// would spend its time on commits; a lane that waits for a slot has more rows when its turn comes.
// The SQLite files together count as one server: their commits share this machine's CPUs and, most
// often, its disk. One partner alone does not meet the bound, unless it has many lanes.
//
// A batch that is late gives its slot back (SubmitGate::kSlotNs), and a lane that has waited as
// long for one goes past the bound: neither locked tables nor slow disks hold up the others.
// Thread: its core's.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>

namespace postback::ingest {

class SlotWaiter {
 public:
  // A slot is this lane's now: it uses it, or leaves it.
  virtual void slot_granted() = 0;

 protected:
  ~SlotWaiter() = default;
};

class SubmitGate {
 public:
  static constexpr uint64_t kSlotNs = 100'000'000;

  class Server {
   public:
    // False: the waiter is told when it has a slot; at most one such wait at a time.
    [[nodiscard]] bool enter(SlotWaiter* waiter);
    void enter_past_bound() { ++taken_; }  // A slot as well, left as any other.
    void leave();
    void forget(const SlotWaiter* waiter);  // It waits no more.

   private:
    size_t taken_ = 0;
    std::deque<SlotWaiter*> waiting_;
  };

  // Lives as long as the gate.
  Server& server_of(std::string_view database_url);

 private:
  absl::flat_hash_map<std::string, std::unique_ptr<Server>> servers_;
};

}  // namespace postback::ingest
