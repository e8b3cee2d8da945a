#include "io/timer_queue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <map>
#include <random>
#include <utility>
#include <vector>

namespace postback::io {
namespace {

std::vector<uint64_t> pop_all(TimerQueue* queue, uint64_t now_ns) {
  std::vector<uint64_t> contexts;
  FiredTimer fired;
  while (queue->pop_due(now_ns, &fired)) contexts.push_back(fired.context);
  return contexts;
}

TEST(TimerQueue, KnowsTheEarliestDeadline) {
  TimerQueue queue;
  EXPECT_EQ(queue.deadline_ns(), TimerQueue::kNoDeadline);
  queue.start(30, nullptr, 0);
  const TimerId earliest = queue.start(10, nullptr, 0);
  queue.start(20, nullptr, 0);
  EXPECT_EQ(queue.deadline_ns(), 10u);
  queue.cancel(earliest);
  EXPECT_EQ(queue.deadline_ns(), 20u);
}

TEST(TimerQueue, GivesOnlyWhatIsDue) {
  TimerQueue queue;
  queue.start(10, nullptr, 1);
  queue.start(11, nullptr, 2);
  EXPECT_EQ(pop_all(&queue, 9), std::vector<uint64_t>{});
  EXPECT_EQ(pop_all(&queue, 10), std::vector<uint64_t>{1});
  EXPECT_EQ(pop_all(&queue, 11), std::vector<uint64_t>{2});
  EXPECT_EQ(queue.count(), 0u);
}

TEST(TimerQueue, EqualDeadlinesFireInTheOrderOfTheirStart) {
  TimerQueue queue;
  for (uint64_t i = 0; i < 100; ++i) queue.start(5, nullptr, i);
  const std::vector<uint64_t> contexts = pop_all(&queue, 5);
  ASSERT_EQ(contexts.size(), 100u);
  EXPECT_TRUE(std::is_sorted(contexts.begin(), contexts.end()));
}

TEST(TimerQueue, AStaleHandleCancelsNothing) {
  TimerQueue queue;
  const TimerId fired = queue.start(1, nullptr, 1);
  pop_all(&queue, 1);
  const TimerId reused = queue.start(2, nullptr, 2);
  ASSERT_EQ(fired.index, reused.index) << "the slot is reused, or this test shows nothing";
  queue.cancel(fired);
  queue.cancel(TimerId{});
  EXPECT_EQ(queue.count(), 1u);
  EXPECT_EQ(pop_all(&queue, 2), std::vector<uint64_t>{2});
}

// Against a sorted map, with random starts, cancels and pops.
TEST(TimerQueue, BehavesAsASortedListUnderRandomUse) {
  const uint64_t seed = std::random_device{}();
  std::cout << "seed " << seed << std::endl;
  std::mt19937_64 random(seed);
  TimerQueue queue;
  // By deadline, then start.
  std::map<std::pair<uint64_t, uint64_t>, TimerId> model;
  uint64_t now_ns = 0;
  for (uint64_t step = 0; step < 50'000; ++step) {
    switch (random() % 4) {
      case 0:
      case 1: {
        const uint64_t deadline_ns = now_ns + random() % 1000;
        model[{deadline_ns, step}] = queue.start(deadline_ns, nullptr, step);
        break;
      }
      case 2: {
        if (model.empty()) break;
        const auto victim = std::next(
            model.begin(), static_cast<ptrdiff_t>(random() % std::min<size_t>(model.size(), 64)));
        queue.cancel(victim->second);
        queue.cancel(victim->second);
        model.erase(victim);
        break;
      }
      default: {
        now_ns += random() % 20;
        FiredTimer fired;
        while (queue.pop_due(now_ns, &fired)) {
          ASSERT_FALSE(model.empty());
          ASSERT_LE(model.begin()->first.first, now_ns);
          ASSERT_EQ(fired.context, model.begin()->first.second);
          ASSERT_EQ(fired.id, model.begin()->second);
          model.erase(model.begin());
        }
      }
    }
    ASSERT_EQ(queue.count(), model.size());
    ASSERT_EQ(queue.deadline_ns(),
              model.empty() ? TimerQueue::kNoDeadline : model.begin()->first.first);
  }
}

}  // namespace
}  // namespace postback::io
