// How another thread makes a loop's turn return: a sticky flag in front of an eventfd, so that any
// number of wakes before the loop looks costs one write. The eventfd is only ever written: both
// loops learn of each write by its edge, so reading it back would be a system call for nothing
// (its counter would overflow after 2^64 - 2 writes).
#pragma once

#include <atomic>

namespace postback::io {

class Wakeup {
 public:
  Wakeup();  // fd() is -1 and error() the errno if there is no eventfd to be had.
  ~Wakeup();
  Wakeup(const Wakeup&) = delete;
  Wakeup& operator=(const Wakeup&) = delete;

  int fd() const { return fd_; }
  int error() const { return error_; }

  // Any thread. What the thread did before is seen by the loop's thread after clear().
  void wake();

  // Loop's thread: whether a wake came since the last clear(); if so the loop must not wait.
  bool pending() const { return woken_.load(std::memory_order_relaxed); }
  // Loop's thread, after the wait: the wakes so far are answered by this turn. A wake that this
  // load does not see yet stays pending and is answered by the next turn.
  void clear() {
    if (pending()) woken_.exchange(false, std::memory_order_acq_rel);
  }

 private:
  int fd_;
  int error_;
  std::atomic<bool> woken_{false};
};

}  // namespace postback::io
