// The contract of postback/loop.h for timers, wake-ups and waiting, over both backends.
#include <poll.h>

#include <algorithm>
#include <atomic>
#include <random>
#include <thread>

#include "loop_fixture.h"

namespace postback::io {
namespace {

uint64_t monotonic_ns() {
  return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch() /
                               nanoseconds(1));
}

// Checks at each timer that it is not early; context: its deadline in nanoseconds.
class Deadlines : public LoopClient {
 public:
  explicit Deadlines(const Loop* loop) : loop_(loop) {}
  void complete(const Completion& completion) override {
    EXPECT_EQ(completion.event, Event::timer);
    EXPECT_EQ(completion.result, 0);
    EXPECT_GE(loop_->now_ns(), completion.context) << "early";
    EXPECT_GE(completion.context, last_) << "out of order";
    last_ = completion.context;
    ++count;
  }
  size_t count = 0;

 private:
  const Loop* loop_;
  uint64_t last_ = 0;
};

TEST_P(LoopContract, ATimerFiresOnceAndIsNotEarly) {
  Recorder client;
  const uint64_t start = monotonic_ns();
  turn(milliseconds(0));  // The loop's clock is now at `start` or later.
  const TimerId timer = loop_->timer_start(milliseconds(15), &client, 9);
  ASSERT_TRUE(turn_until([&] { return !client.records.empty(); }));
  EXPECT_GE(monotonic_ns() - start, 15'000'000u);
  ASSERT_EQ(client.records.size(), 1u);
  EXPECT_EQ(client.records[0].event, Event::timer);
  EXPECT_EQ(client.records[0].timer, timer);
  EXPECT_EQ(client.records[0].context, 9u);
  EXPECT_EQ(turn(milliseconds(20)), 0u);
}

TEST_P(LoopContract, ATimerWithoutDelayFiresInTheNextTurn) {
  Recorder client;
  loop_->timer_start(nanoseconds(0), &client, 0);
  loop_->timer_start(nanoseconds(-5), &client, 1);
  EXPECT_EQ(turn(seconds(20)), 2u);
  EXPECT_EQ(client.records[1].context, 1u);
}

TEST_P(LoopContract, ACancelledTimerIsSilentAndAFiredOneCanBeCancelled) {
  Recorder client;
  const TimerId cancelled = loop_->timer_start(milliseconds(5), &client, 1);
  const TimerId fired = loop_->timer_start(milliseconds(10), &client, 2);
  loop_->timer_cancel(cancelled);
  loop_->timer_cancel(cancelled);
  ASSERT_TRUE(turn_until([&] { return !client.records.empty(); }));
  EXPECT_EQ(client.records[0].timer, fired);
  const TimerId other = loop_->timer_start(milliseconds(5), &client, 3);
  loop_->timer_cancel(fired);  // Stale: `other` has its slot now.
  loop_->timer_cancel(TimerId{});
  ASSERT_TRUE(turn_until([&] { return client.records.size() == 2; }));
  EXPECT_EQ(client.records[1].timer, other);
}

TEST_P(LoopContract, ThousandsOfTimersFireInOrderOfTheirDeadlines) {
  std::mt19937_64 random(random_seed());
  Deadlines client(loop_.get());
  Recorder never;
  std::vector<TimerId> to_cancel;
  constexpr size_t kTimers = 5000;
  for (size_t i = 0; i < kTimers; ++i) {
    const nanoseconds delay(random() % 50'000'000);
    loop_->timer_start(delay, &client, loop_->now_ns() + static_cast<uint64_t>(delay.count()));
    to_cancel.push_back(loop_->timer_start(nanoseconds(random() % 50'000'000), &never, 0));
  }
  for (const TimerId timer : to_cancel) loop_->timer_cancel(timer);
  ASSERT_TRUE(turn_until([&] { return client.count == kTimers; }));
  turn(milliseconds(5));
  EXPECT_EQ(client.count, kTimers);
  EXPECT_TRUE(never.records.empty());
}

TEST_P(LoopContract, ATurnWithoutWaitingDoesNotBlock) {
  const uint64_t start = monotonic_ns();
  for (int i = 0; i < 100; ++i) EXPECT_EQ(turn(milliseconds(0)), 0u);
  EXPECT_LT(monotonic_ns() - start, 5'000'000'000u);
}

// How long a turn of `limit` waits when nothing happens. The longest of a few: a signal may end a
// wait early, and the kernel sends one to clear away a ring that the test before had.
nanoseconds longest_wait(Loop* loop, nanoseconds limit) {
  uint64_t longest = 0;
  for (int i = 0; i < 5; ++i) {
    const uint64_t start = monotonic_ns();
    EXPECT_TRUE(loop->turn(limit).empty());
    longest = std::max(longest, monotonic_ns() - start);
    EXPECT_GE(loop->now_ns(), start);
  }
  return nanoseconds(longest);
}

TEST_P(LoopContract, ATurnWaitsUpToItsLimitAndNoLonger) {
  const nanoseconds waited = longest_wait(loop_.get(), milliseconds(20));
  EXPECT_GE(waited, milliseconds(20));
  EXPECT_LT(waited, seconds(10));
}

TEST_P(LoopContract, AWakeBeforeTheTurnMakesItReturnAtOnce) {
  for (int i = 0; i < 10; ++i) loop_->wake();
  const uint64_t start = monotonic_ns();
  turn(seconds(30));
  EXPECT_LT(monotonic_ns() - start, 10'000'000'000u);
  EXPECT_GE(longest_wait(loop_.get(), milliseconds(20)), milliseconds(20))
      << "an answered wake must not count again";
}

TEST_P(LoopContract, AWakeEndsAWaitForEver) {
  for (int round = 0; round < 20; ++round) {
    std::atomic<bool> woken{false};
    std::thread other([&] {
      woken = true;
      loop_->wake();
    });
    // Ends only by the wakes: a lost one lets this test run into its time limit.
    while (!woken) turn(nanoseconds::max());
    other.join();
    turn(milliseconds(0));
  }
}

// So many completions at once that the kernel's queue of them runs over: the kernel may then end
// what reports wake-ups, and it has to be asked for again.
TEST_P(LoopContract, AWakeIsHeardAlsoAfterMoreCompletionsThanTheQueueHolds) {
  raise_open_files();
  constexpr size_t kSockets = 2000;
  Recorder client;
  std::vector<Fd> peers;
  for (size_t i = 0; i < kSockets; ++i) {
    auto [ours, peer] = stream_pair();
    loop_->poll(loop_->open(ours.release(), &client, i), POLLIN);
    peers.push_back(std::move(peer));
  }
  turn(milliseconds(0));
  for (int round = 0; round < 3; ++round) {
    const size_t first = static_cast<size_t>(round) * kSockets / 3;
    const size_t last = static_cast<size_t>(round + 1) * kSockets / 3;
    for (size_t i = first; i < last; ++i) write_all(peers[i].get(), "x");
    // A wake at each turn, so also while completions wait for a place in the queue.
    ASSERT_TRUE(turn_until([&] {
      loop_->wake();
      return client.count(Event::poll) == last;
    }));
    turn(milliseconds(0));
    std::atomic<bool> woken{false};
    std::thread other([&] {
      std::this_thread::sleep_for(milliseconds(20));  // The loop waits by then, mostly.
      woken = true;
      loop_->wake();
    });
    const uint64_t start = monotonic_ns();
    while (!woken) turn(seconds(20));
    EXPECT_LT(monotonic_ns() - start, 10'000'000'000u) << "round " << round;
    other.join();
  }
}

TEST_P(LoopContract, NoWakeIsLostAmongManyThreads) {
  constexpr int kThreads = 4;
  constexpr int kWakes = 1000;
  std::atomic<int> posted{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < kWakes; ++n) {
        posted.fetch_add(1);
        loop_->wake();
        if (n % 16 == 0) std::this_thread::yield();
      }
    });
  }
  // A turn that waits for ever ends for each post that it has not seen yet.
  while (posted.load() < kThreads * kWakes) turn(nanoseconds::max());
  for (std::thread& thread : threads) thread.join();
}

TEST_P(LoopContract, AWakeDoesNotDelayTimersOrSockets) {
  std::atomic<bool> stop{false};
  std::thread other([&] {
    while (!stop) {
      loop_->wake();
      std::this_thread::yield();
    }
  });
  Recorder client;
  auto [ours, peer] = stream_pair();
  const SocketId id = loop_->open(ours.release(), &client, 0);
  loop_->recv(id);
  loop_->timer_start(milliseconds(20), &client, 0);
  write_all(peer.get(), "x");
  EXPECT_TRUE(turn_until(
      [&] { return client.count(Event::timer) == 1 && client.count(Event::recv) == 1; }));
  stop = true;
  other.join();
  close_and_wait(id, &client);
}

}  // namespace
}  // namespace postback::io
