#include "io/courier.h"

#include <gtest/gtest.h>

#include <vector>

namespace postback::io {
namespace {

struct Numbered : Message {
  int number = 0;
};

class Recorder final : public MessageReceiver {
 public:
  void receive(Message& message) override {
    numbers.push_back(static_cast<Numbered&>(message).number);
    if (on_receive != nullptr) {
      Numbered* next = on_receive;
      on_receive = nullptr;
      next->receiver = this;
      courier->send(0, *next);
    }
  }
  std::vector<int> numbers;
  Numbered* on_receive = nullptr;
  Courier* courier = nullptr;
};

class CourierTest : public ::testing::Test {
 protected:
  CourierTest() {
    courier_.connect({&own_, &other_});
    for (int i = 0; i < 4; ++i) {
      messages_[i].number = i;
      messages_[i].receiver = &recorder_;
    }
    recorder_.courier = &courier_;
  }
  Mailbox own_{nullptr};
  Mailbox other_{nullptr};
  Courier courier_{0, 2};
  Recorder recorder_;
  Numbered messages_[4];
};

TEST_F(CourierTest, MessagesToTheOwnCoreAreDeliveredInOrderWithinTheTurn) {
  courier_.send(0, messages_[0]);
  courier_.send(0, messages_[1]);
  EXPECT_TRUE(courier_.has_local());
  courier_.deliver_local();
  EXPECT_FALSE(courier_.has_local());
  EXPECT_EQ(recorder_.numbers, (std::vector<int>{0, 1}));
}

TEST_F(CourierTest, WhatAMessageCausesIsDeliveredToo) {
  recorder_.on_receive = &messages_[3];
  courier_.send(0, messages_[0]);
  courier_.send(0, messages_[1]);
  courier_.deliver_local();
  EXPECT_EQ(recorder_.numbers, (std::vector<int>{0, 1, 3}));
}

TEST_F(CourierTest, MessagesToAnotherCoreArriveInOrderWhenPosted) {
  courier_.send(1, messages_[0]);
  courier_.send(1, messages_[1]);
  courier_.send(1, messages_[2]);
  EXPECT_EQ(other_.drain(), 0u);
  courier_.post();
  EXPECT_EQ(other_.drain(), 3u);
  EXPECT_EQ(recorder_.numbers, (std::vector<int>{0, 1, 2}));
  courier_.post();
  EXPECT_EQ(other_.drain(), 0u);
}

}  // namespace
}  // namespace postback::io
