// What both loops share: timers, wake-ups, the clock and the list of completions of this turn.
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "io/timer_queue.h"
#include "io/wakeup.h"
#include "postback/loop.h"

namespace postback::io {

// A connection that waits on a listener, non-blocking and close-on-exec; -1 when there is none.
int accept_now(int listener);

class LoopBase : public Loop {
 public:
  TimerId timer_start(std::chrono::nanoseconds delay, LoopClient* client, uint64_t context) final;
  void timer_cancel(TimerId timer) final { timers_.cancel(timer); }
  void wake() final { wakeup_.wake(); }
  uint64_t now_ns() const final { return now_ns_; }

 protected:
  LoopBase();

  // How long this turn may wait: 0 when `busy` (something is left to do at once) or woken, else
  // until the next timer, at most wait_max and kWaitMax.
  std::chrono::nanoseconds wait_time(std::chrono::nanoseconds wait_max, bool busy) const;
  // To be called when the wait has ended: reads the clock and answers the wakes so far.
  void wait_done();

  // Accepting goes on after a back-off by a timer of the loop's own, one that has no client.
  TimerId start_accept_backoff(SocketId listener);
  // Appends the timers that are due to completions_, and calls resume(SocketId) for each
  // back-off that has ended.
  template <typename Resume>
  void fire_timers(Resume resume) {
    FiredTimer fired;
    while (timers_.pop_due(now_ns_, &fired)) {
      if (fired.client == nullptr) {
        resume(SocketId{static_cast<uint32_t>(fired.context >> 32),
                        static_cast<uint32_t>(fired.context)});
        continue;
      }
      completions_.push_back({.event = Event::timer,
                              .socket = {},
                              .timer = fired.id,
                              .client = fired.client,
                              .context = fired.context});
    }
  }

  Wakeup wakeup_;
  TimerQueue timers_;
  std::vector<Completion> completions_;  // What turn() returns.
  uint64_t now_ns_;
};

// Accepts what waits on a listener that is about to be closed, at most `count_max`, and tells
// report(fd) of each.
template <typename Report>
void accept_what_waits(int listener, uint32_t count_max, Report report) {
  for (uint32_t i = 0; i < count_max; ++i) {
    const int fd = accept_now(listener);
    if (fd < 0) return;
    report(fd);
  }
}

// Whether an error of accept() concerns only the one connection it would have returned (accept(2):
// "treat them like EAGAIN by retrying"). Every other error ends in a back-off.
bool accept_error_is_transient(int error);

}  // namespace postback::io
