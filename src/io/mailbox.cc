#include "io/mailbox.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"

namespace postback::io {
namespace {

// Not std::atomic::wait(): libstdc++ spins and yields before it sleeps, and wakes whoever waits in
// the same one of 16 groups when what is waited for is a pointer. With a hundred threads of SQLite
// databases that took a fifth of their time.
long futex(std::atomic<uint32_t>* word, int operation, uint32_t value,
           const timespec* limit = nullptr) {
  return syscall(SYS_futex, word, operation | FUTEX_PRIVATE_FLAG, value, limit, nullptr, 0);
}
static_assert(sizeof(std::atomic<uint32_t>) == sizeof(uint32_t));

}  // namespace

void Mailbox::post(MessageChain* chain) {
  if (chain->empty()) return;
  Message* seen = newest_.load(std::memory_order_relaxed);
  do {
    chain->oldest_->next = seen;
  } while (!newest_.compare_exchange_weak(seen, chain->newest_, std::memory_order_seq_cst,
                                          std::memory_order_relaxed));
  chain->newest_ = nullptr;
  chain->oldest_ = nullptr;
  if (seen != nullptr) return;  // Whoever posted first has woken the owner.
  if (loop_ != nullptr) {
    loop_->wake();
  } else {
    wake_owner();
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

// Either the owner sees what was posted, or the sender sees that the owner sleeps: both write first
// and read then, in one order for all (seq_cst).
void Mailbox::wake_owner() {
  if (asleep_.load(std::memory_order_seq_cst) == 0) return;
  asleep_.store(0, std::memory_order_seq_cst);
  futex(&asleep_, FUTEX_WAKE, 1);
}

void Mailbox::wait() {
  CHECK(loop_ == nullptr);
  while (newest_.load(std::memory_order_acquire) == nullptr) {
    asleep_.store(1, std::memory_order_seq_cst);
    // Returns at once where it was woken in between; that and a signal are why this is a loop.
    if (newest_.load(std::memory_order_seq_cst) == nullptr) futex(&asleep_, FUTEX_WAIT, 1);
    asleep_.store(0, std::memory_order_relaxed);
  }
}

void Mailbox::wait_for(std::chrono::nanoseconds limit) {
  CHECK(loop_ == nullptr);
  if (limit <= std::chrono::nanoseconds::zero()) return;
  constexpr int64_t kSecond = 1'000'000'000;
  const timespec time{limit.count() / kSecond, limit.count() % kSecond};
  asleep_.store(1, std::memory_order_seq_cst);
  if (newest_.load(std::memory_order_seq_cst) == nullptr) futex(&asleep_, FUTEX_WAIT, 1, &time);
  asleep_.store(0, std::memory_order_relaxed);
}

}  // namespace postback::io
