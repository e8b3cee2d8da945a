// How many connections a core may hold, so that clients never take the descriptors that databases,
// journal, log and reports need. Counts what the loop was allowed to accept; further clients wait
// in the kernel's queue. Thread: the core's.
#pragma once

#include <cstddef>
#include <cstdint>

namespace postback::server {

// The part of the process's descriptors that one of `core_count` cores may give to clients.
// `open_files_max`: the process's limit (RLIMIT_NOFILE); `lane_count`: lanes of active partners, in
// all cores.
uint32_t clients_max(uint64_t open_files_max, uint32_t core_count, size_t lane_count);
// That limit, now.
uint64_t open_files_max();

class ConnectionRoom {
 public:
  // Returns how many more may be accepted at once.
  uint32_t set_bound(uint32_t bound) {
    bound_ = bound;
    if (granted_ >= bound_) return 0;
    const uint32_t more = bound_ - granted_;
    granted_ = bound_;
    return more;
  }
  // A connection was accepted.
  void take() { ++open_; }
  // A connection is closed. Returns how many more may be accepted: none after the bound was
  // lowered, until so many have closed.
  uint32_t give_back() {
    --open_;
    --granted_;
    if (granted_ >= bound_) return 0;
    ++granted_;
    return 1;
  }
  bool full() const { return bound_ > 0 && open_ >= bound_; }

 private:
  uint32_t bound_ = 0;
  uint32_t granted_ = 0;  // Open, or allowed to be accepted.
  uint32_t open_ = 0;
};

}  // namespace postback::server
