#include "store/resolver.h"

#include <gtest/gtest.h>

namespace postback::store {
namespace {

class Asker : public MessageReceiver {
 public:
  std::unique_ptr<Resolve> question(const std::string& host) {
    auto question = std::make_unique<Resolve>();
    question->host = host;
    question->mailbox = &mailbox;
    question->asker = this;
    return question;
  }
  void receive(Message& message) override { answers.emplace_back(static_cast<Resolve*>(&message)); }
  void wait_for(size_t count) {
    while (answers.size() < count) {
      mailbox.wait();
      mailbox.drain();
    }
  }
  io::Mailbox mailbox{nullptr};
  std::vector<std::unique_ptr<Resolve>> answers;
};

TEST(Resolver, AnswersWithAddressesOrAReason) {
  Asker asker;
  Resolver resolver;
  for (const char* host : {"localhost", "no-such-host.invalid"}) {
    auto question = asker.question(host);
    ASSERT_TRUE(resolver.ask(&question));
    EXPECT_EQ(question, nullptr);
  }
  asker.wait_for(2);
  for (const auto& answer : asker.answers) {  // Two threads resolve: in any order.
    const bool is_there = answer->host == "localhost";
    EXPECT_EQ(answer->addresses.empty(), !is_there);
    EXPECT_EQ(answer->error.empty(), is_there) << answer->error;
  }
}

TEST(Resolver, AbandonedQuestionsAreEitherAnsweredOrNeverHeardOf) {
  Asker asker;
  Resolver resolver;
  size_t expected = 0;
  for (int i = 0; i < 200; ++i) {
    auto question = asker.question("127.0.0.1");
    Resolve* asked = question.get();
    ASSERT_TRUE(resolver.ask(&question));
    if (i % 3 == 0) continue;  // Answered below, in any case.
    if (!Resolver::abandon(asked)) ++expected;
    if (i % 20 == 0) asker.mailbox.drain();
  }
  expected += 67;  // Of 200, every third.
  asker.wait_for(expected);
  EXPECT_EQ(asker.answers.size(), expected);
}

TEST(Resolver, RefusesWhatWouldGrowWithoutBound) {
  Asker asker;
  std::vector<Resolve*> asked;
  bool refused = false;
  {
    Resolver resolver;
    for (int i = 0; i < 100 * Resolver::kQuestionsMax && !refused; ++i) {
      auto question = asker.question("no-such-host.invalid");
      Resolve* pointer = question.get();
      refused = !resolver.ask(&question);
      if (!refused) asked.push_back(pointer);
    }
    EXPECT_TRUE(refused);
    size_t expected = 0;
    for (Resolve* question : asked) expected += Resolver::abandon(question) ? 0 : 1;
    asker.wait_for(expected);
  }
}

}  // namespace
}  // namespace postback::store
