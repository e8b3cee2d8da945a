#include "io/timer_queue.h"

namespace postback::io {
namespace {

// Room from the start for a few hundred connections with a time limit each; it doubles beyond.
constexpr size_t kTimersFirst = 1024;

}  // namespace

TimerQueue::TimerQueue() : timers_(kTimersFirst) {
  heap_.reserve(kTimersFirst);
}

TimerId TimerQueue::start(uint64_t deadline_ns, LoopClient* client, uint64_t context) {
  const uint32_t index = timers_.add();
  timers_[index].client = client;
  timers_[index].context = context;
  const Node node{deadline_ns, sequence_next_++, index};
  heap_.push_back(node);
  sift_up(heap_.size() - 1, node);
  return {index, timers_.generation(index)};
}

void TimerQueue::cancel(TimerId id) {
  const Timer* timer = timers_.find(id.index, id.generation);
  if (timer == nullptr) return;
  erase(timer->place);
  timers_.remove(id.index);
}

bool TimerQueue::pop_due(uint64_t now_ns, FiredTimer* fired) {
  if (heap_.empty() || heap_[0].deadline_ns > now_ns) return false;
  const uint32_t index = heap_[0].index;
  const Timer& timer = timers_[index];
  *fired = {{index, timers_.generation(index)}, timer.client, timer.context};
  erase(0);
  timers_.remove(index);
  return true;
}

void TimerQueue::put(size_t place, const Node& node) {
  heap_[place] = node;
  timers_[node.index].place = place;
}

void TimerQueue::sift_up(size_t place, const Node& node) {
  while (place > 0) {
    const size_t parent = (place - 1) / 2;
    if (!before(node, heap_[parent])) break;
    put(place, heap_[parent]);
    place = parent;
  }
  put(place, node);
}

void TimerQueue::sift_down(size_t place, const Node& node) {
  for (;;) {
    size_t child = 2 * place + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && before(heap_[child + 1], heap_[child])) ++child;
    if (!before(heap_[child], node)) break;
    put(place, heap_[child]);
    place = child;
  }
  put(place, node);
}

void TimerQueue::erase(size_t place) {
  const Node last = heap_.back();
  heap_.pop_back();
  if (place == heap_.size()) return;  // It was the last one.
  // The last node comes from another branch, so it may belong above the gap or below it.
  if (place > 0 && before(last, heap_[(place - 1) / 2])) {
    sift_up(place, last);
  } else {
    sift_down(place, last);
  }
}

}  // namespace postback::io
