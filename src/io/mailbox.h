// The only way between threads: a list of messages that any thread may post to and one thread
// drains. Posting is one compare-and-swap for a whole chain; the receiver is woken only when its
// mailbox was empty, so many messages cost one wake-up. See postback/message.h for ownership.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "postback/loop.h"
#include "postback/message.h"

namespace postback::io {

// Messages collected by one thread for one mailbox during a turn, in order.
class MessageChain {
 public:
  void push(Message& message) {
    // Newest first: the order in which the mailbox keeps them.
    message.next = newest_;
    newest_ = &message;
    if (oldest_ == nullptr) oldest_ = &message;
  }
  bool empty() const { return newest_ == nullptr; }

 private:
  friend class Mailbox;
  Message* newest_ = nullptr;
  Message* oldest_ = nullptr;
};

class Mailbox {
 public:
  // A mailbox of a thread that runs `loop` (woken through it), or, without a loop, of a thread
  // that waits in wait(). It outlives every call of post().
  explicit Mailbox(Loop* loop) : loop_(loop) {}
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  // Any thread. The chain is empty afterwards.
  void post(MessageChain* chain);
  void post(Message& message);

  // Owner's thread: delivers everything that was posted before the call, each sender's messages
  // in order. Returns how many.
  size_t drain();
  // Owner's thread, loopless mailboxes only: blocks until something was posted.
  void wait();
  // The same for at most that long; returns also before, for no reason.
  void wait_for(std::chrono::nanoseconds limit);

 private:
  void wake_owner();

  std::atomic<Message*> newest_{nullptr};
  std::atomic<uint32_t> asleep_{0};  // 1: the owner is in wait(), see there. A futex.
  Loop* loop_;
};

}  // namespace postback::io
