// The timers of one loop: a binary heap ordered by deadline, then by start, with a slot per timer
// that knows its place in the heap. Starting and cancelling cost O(log n), asking for the next
// deadline O(1). One thread; no allocation once the queue has held its largest number of timers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "io/slab.h"
#include "postback/loop.h"

namespace postback::io {

struct FiredTimer {
  TimerId id;
  LoopClient* client = nullptr;
  uint64_t context = 0;
};

class TimerQueue {
 public:
  static constexpr uint64_t kNoDeadline = UINT64_MAX;

  TimerQueue();

  // `client` is only kept, never called; it may be null.
  TimerId start(uint64_t deadline_ns, LoopClient* client, uint64_t context);
  // A timer that has fired or was cancelled is ignored.
  void cancel(TimerId id);

  // kNoDeadline when there is no timer.
  uint64_t deadline_ns() const { return heap_.empty() ? kNoDeadline : heap_[0].deadline_ns; }
  // Takes out the earliest timer if its deadline is not after `now_ns`.
  bool pop_due(uint64_t now_ns, FiredTimer* fired);

  size_t count() const { return heap_.size(); }

 private:
  struct Timer {
    LoopClient* client = nullptr;
    uint64_t context = 0;
    size_t place = 0;  // Of its node in heap_.
  };
  struct Node {
    uint64_t deadline_ns;
    uint64_t sequence;  // Equal deadlines fire in the order in which they were started.
    uint32_t index;     // Of its timer in timers_.
  };

  static bool before(const Node& a, const Node& b) {
    return a.deadline_ns != b.deadline_ns ? a.deadline_ns < b.deadline_ns : a.sequence < b.sequence;
  }
  void put(size_t place, const Node& node);
  void sift_up(size_t place, const Node& node);
  void sift_down(size_t place, const Node& node);
  void erase(size_t place);

  Slab<Timer> timers_;
  std::vector<Node> heap_;
  uint64_t sequence_next_ = 0;
};

}  // namespace postback::io
