#include "io/mailbox.h"

#include "base/check.h"

namespace postback::io {

void Mailbox::post(MessageChain* chain) {
  if (chain->empty()) return;
  Message* seen = newest_.load(std::memory_order_relaxed);
  do {
    chain->oldest_->next = seen;
  } while (!newest_.compare_exchange_weak(seen, chain->newest_, std::memory_order_release,
                                          std::memory_order_relaxed));
  chain->newest_ = nullptr;
  chain->oldest_ = nullptr;
  if (seen != nullptr) return;  // Whoever posted first has woken the owner.
  if (loop_ != nullptr) {
    loop_->wake();
  } else {
    newest_.notify_one();
  }
}

void Mailbox::post(Message& message) {
  MessageChain chain;
  chain.push(message);
  post(&chain);
}

size_t Mailbox::drain() {
  Message* message = newest_.exchange(nullptr, std::memory_order_acquire);
  Message* oldest_first = nullptr;
  while (message != nullptr) {
    Message* next = message->next;
    message->next = oldest_first;
    oldest_first = message;
    message = next;
  }
  size_t count = 0;
  while (oldest_first != nullptr) {
    Message* next = oldest_first->next;
    oldest_first->next = nullptr;
    CHECK(oldest_first->receiver != nullptr);
    oldest_first->receiver->receive(*oldest_first);
    oldest_first = next;
    ++count;
  }
  return count;
}

void Mailbox::wait() {
  CHECK(loop_ == nullptr);
  newest_.wait(nullptr, std::memory_order_acquire);
}

}  // namespace postback::io
