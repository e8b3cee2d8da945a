#include "io/mailbox.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "io/epoll_loop.h"

namespace postback::io {
namespace {

struct Numbered : Message {
  int sender = 0;
  int number = 0;
};

// Checks that each sender's messages come in order.
class InOrder : public MessageReceiver {
 public:
  explicit InOrder(int senders) : next_(static_cast<size_t>(senders), 0) {}
  void receive(Message& message) override {
    const auto& numbered = static_cast<Numbered&>(message);
    EXPECT_EQ(message.next, nullptr);
    EXPECT_EQ(numbered.number, next_[static_cast<size_t>(numbered.sender)]++);
    ++count;
  }
  int count = 0;

 private:
  std::vector<int> next_;
};

// Counts wakes; the mailbox calls nothing else.
class WakeCounter final : public Loop {
 public:
  const char* name() const override { return "counter"; }
  SocketId open(int, LoopClient*, uint64_t) override { return {}; }
  SocketId watch(int, LoopClient*, uint64_t) override { return {}; }
  void accept(SocketId, uint32_t) override {}
  void recv(SocketId) override {}
  void send(SocketId, const char*, size_t) override {}
  void poll(SocketId, uint32_t) override {}
  void poll_change(SocketId, uint32_t) override {}
  void close(SocketId) override {}
  TimerId timer_start(std::chrono::nanoseconds, LoopClient*, uint64_t) override { return {}; }
  void timer_cancel(TimerId) override {}
  void wake() override { ++wakes; }
  std::span<const Completion> turn(std::chrono::nanoseconds) override { return {}; }
  uint64_t now_ns() const override { return 0; }

  std::atomic<int> wakes{0};
};

TEST(Mailbox, DeliversChainsAndSingleMessagesInTheOrderOfPosting) {
  WakeCounter loop;
  Mailbox mailbox(&loop);
  InOrder receiver(1);
  Numbered messages[6];
  for (int i = 0; i < 6; ++i) {
    messages[i].receiver = &receiver;
    messages[i].number = i;
  }
  MessageChain chain;
  EXPECT_TRUE(chain.empty());
  for (int i = 0; i < 3; ++i) chain.push(messages[i]);
  mailbox.post(&chain);
  EXPECT_TRUE(chain.empty());
  mailbox.post(messages[3]);
  chain.push(messages[4]);
  chain.push(messages[5]);
  mailbox.post(&chain);
  EXPECT_EQ(mailbox.drain(), 6u);
  EXPECT_EQ(receiver.count, 6);
  EXPECT_EQ(mailbox.drain(), 0u);
}

TEST(Mailbox, WakesOncePerTransitionFromEmpty) {
  WakeCounter loop;
  Mailbox mailbox(&loop);
  InOrder receiver(1);
  Numbered messages[4];
  for (int i = 0; i < 4; ++i) {
    messages[i].receiver = &receiver;
    messages[i].number = i;
  }
  MessageChain empty;
  mailbox.post(&empty);
  EXPECT_EQ(loop.wakes, 0);
  mailbox.post(messages[0]);
  mailbox.post(messages[1]);
  mailbox.post(messages[2]);
  EXPECT_EQ(loop.wakes, 1);
  mailbox.drain();
  mailbox.post(messages[3]);
  EXPECT_EQ(loop.wakes, 2);
  mailbox.drain();
}

// Posts the message again from receive(): the reply path on one thread.
class PostsAgain : public MessageReceiver {
 public:
  explicit PostsAgain(Mailbox* mailbox) : mailbox_(mailbox) {}
  void receive(Message& message) override {
    ++count;
    mailbox_->post(message);
  }
  int count = 0;

 private:
  Mailbox* mailbox_;
};

TEST(Mailbox, DrainDeliversOnlyWhatWasPostedBeforeIt) {
  WakeCounter loop;
  Mailbox mailbox(&loop);
  PostsAgain receiver(&mailbox);
  Message message;
  message.receiver = &receiver;
  mailbox.post(message);
  for (int i = 1; i <= 3; ++i) {
    EXPECT_EQ(mailbox.drain(), 1u);
    EXPECT_EQ(receiver.count, i);
  }
  EXPECT_EQ(loop.wakes, 4);
}

constexpr int kSenders = 4;
constexpr int kMessagesEach = 5000;

// Threads that post to `mailbox` in chains of one to seven messages.
class Senders {
 public:
  Senders(Mailbox* mailbox, MessageReceiver* receiver) : messages_(kSenders) {
    for (int sender = 0; sender < kSenders; ++sender) {
      auto& own = messages_[static_cast<size_t>(sender)];
      own = std::make_unique<Numbered[]>(kMessagesEach);
      threads_.emplace_back([=, numbered = own.get()] {
        MessageChain chain;
        for (int i = 0; i < kMessagesEach; ++i) {
          numbered[i].receiver = receiver;
          numbered[i].sender = sender;
          numbered[i].number = i;
          chain.push(numbered[i]);
          if (i % 7 == sender % 7 || i + 1 == kMessagesEach) mailbox->post(&chain);
          if (i % 64 == 0) std::this_thread::yield();
        }
      });
    }
  }
  ~Senders() {
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  std::vector<std::unique_ptr<Numbered[]>> messages_;
  std::vector<std::thread> threads_;
};

// In the three tests below a lost wake-up shows as a test that never ends.

TEST(Mailbox, KeepsEachSendersOrderAmongManyThatWakeALoop) {
  int error = 0;
  const auto loop = EpollLoop::create({}, &error);
  ASSERT_NE(loop, nullptr) << error;
  Mailbox mailbox(loop.get());
  InOrder receiver(kSenders);
  const Senders senders(&mailbox, &receiver);
  while (receiver.count < kSenders * kMessagesEach) {
    loop->turn(std::chrono::nanoseconds::max());
    mailbox.drain();
  }
  EXPECT_EQ(mailbox.drain(), 0u);
}

TEST(Mailbox, KeepsEachSendersOrderWithoutALoop) {
  Mailbox mailbox(nullptr);
  InOrder receiver(kSenders);
  const Senders senders(&mailbox, &receiver);
  while (receiver.count < kSenders * kMessagesEach) {
    mailbox.wait();
    EXPECT_GT(mailbox.drain(), 0u);
  }
}

TEST(Mailbox, AWaitWithALimitEndsByItselfOrWithAMessage) {
  Mailbox mailbox(nullptr);
  InOrder receiver(kSenders);
  mailbox.wait_for(std::chrono::milliseconds(1));
  EXPECT_EQ(mailbox.drain(), 0u);
  const Senders senders(&mailbox, &receiver);
  while (receiver.count < kSenders * kMessagesEach) {
    // Longer than any test may take: only a message ends it.
    mailbox.wait_for(std::chrono::hours(24));
    mailbox.drain();
  }
}

TEST(Mailbox, WakesAtMostOncePerDrainWhateverIsPosted) {
  WakeCounter loop;
  Mailbox mailbox(&loop);
  InOrder receiver(kSenders);
  int drains = 0;
  {
    const Senders senders(&mailbox, &receiver);
    while (receiver.count < kSenders * kMessagesEach) {
      if (mailbox.drain() > 0) ++drains;
      std::this_thread::yield();
    }
  }
  EXPECT_EQ(loop.wakes, drains);
}

}  // namespace
}  // namespace postback::io
