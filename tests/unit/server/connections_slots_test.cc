// Slots and exchanges that are used again: what comes late reaches nobody else, and nothing of a
// client is left for the next one.
#include <functional>

#include "connections_fixture.h"

namespace postback::server {
namespace {

class ConnectionSlotsTest : public ConnectionsFixture {
 protected:
  ConnectionSlotsTest() { answer_at_once_ = false; }
};

TEST_F(ConnectionSlotsTest, ALateAnswerDoesNotReachTheNextClientOfItsSlot) {
  const uint32_t first = connect();
  arrive(first, request("/first"));
  vanish(first);
  const uint32_t second = connect();
  ASSERT_EQ(second, first) << "the slot is used again";
  arrive(second, request("/second"));
  answer(0, "for the first");
  EXPECT_EQ(take(second), "");
  EXPECT_EQ(connections_.counters().answers_by_status[200], 0u);
  answer(1, "for the second");
  EXPECT_NE(take(second).find("for the second"), std::string::npos);
}

TEST_F(ConnectionSlotsTest, AnAnswerToAClientThatIsBeingClosedIsIgnored) {
  const uint32_t client = connect();
  arrive(client, request("/1"));
  socket(client).receiving = false;
  loop_.complete(client, Event::recv, -ECONNRESET);
  answer(0, "late");
  EXPECT_TRUE(socket(client).sending.empty());
  EXPECT_EQ(connections_.counters().answers_by_status[200], 0u);
}

TEST_F(ConnectionSlotsTest, ALateAnswerDoesNotReachALaterRequestOfItsConnection) {
  const uint32_t client = connect();
  arrive(client, request("/0"));
  pass(kPostbackLimitNs);
  EXPECT_NE(take(client).find("503"), std::string::npos);
  // The exchange's place is taken again by the request that comes kExchangesMax later.
  for (uint32_t i = 1; i <= kExchangesMax; ++i) {
    arrive(client, request("/" + std::to_string(i)));
    if (i < kExchangesMax) answer(i, "x");
    take(client);
  }
  answer(0, "late");
  EXPECT_EQ(take(client), "") << "request " << kExchangesMax << " waits for its own answer";
  answer(kExchangesMax, "its own");
  EXPECT_NE(take(client).find("its own"), std::string::npos);
}

TEST_F(ConnectionSlotsTest, AnExchangeIsAnsweredOnceAlsoWhileItsAnswerWaitsForAnEarlierOne) {
  const uint32_t client = connect();
  arrive(client, request("/1") + request("/2") + request("/3"));
  answer(1, "second");
  answer(1, "late");
  answer(2, "third");
  EXPECT_EQ(take(client), "");
  answer(0, "first");
  const std::string all = take_all(client);
  EXPECT_EQ(count(all, "HTTP/1.1 200"), 3u);
  EXPECT_EQ(count(all, "late"), 0u);
  EXPECT_LT(all.find("first"), all.find("second"));
  EXPECT_LT(all.find("second"), all.find("third"));
  EXPECT_EQ(connections_.counters().answers_by_status[200], 3u);
}

TEST_F(ConnectionSlotsTest, CompletionsOfASocketThatIsGoneReachNobody) {
  const uint32_t first = connect();
  arrive(first, request("/first"));
  const Completion stale{.event = Event::recv,
                         .result = -ECONNRESET,
                         .socket = loop_.id_of(first),
                         .timer = {},
                         .data = nullptr,
                         .client = &connections_,
                         .context = socket(first).context};
  vanish(first);
  const uint32_t second = connect();
  ASSERT_EQ(second, first);
  connections_.complete(stale);
  Completion sent = stale;
  sent.event = Event::send;
  sent.result = 100;
  connections_.complete(sent);
  EXPECT_FALSE(socket(second).closing);
  arrive(second, request("/second"));
  EXPECT_EQ(handled_.back(), "/second");
}

TEST_F(ConnectionSlotsTest, WhatComesBetweenCloseAndClosedIsIgnored) {
  const uint32_t client = connect();
  arrive(client, request("/1"));
  connections_.close_all();
  ASSERT_TRUE(socket(client).closing);
  loop_.complete(client, Event::recv, 5, "GET /");
  loop_.complete(client, Event::send, 5);
  connections_.flush();
  EXPECT_EQ(handled_.size(), 1u);
  EXPECT_EQ(connections_.open_count(), 1u);
  loop_.finish_close(client);
  EXPECT_EQ(connections_.open_count(), 0u);
}

// Each way in which a client may leave its slot; behind it the slot is as good as new.
TEST_F(ConnectionSlotsTest, ASlotBehavesLikeANewOneHoweverItsLastClientLeft) {
  const std::string body_head = "POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n";
  const std::vector<std::pair<const char*, std::function<void(uint32_t)>>> ways = {
      {"in mid-head", [&](uint32_t c) { arrive(c, "GET /mid HTT"); }},
      {"in mid-body", [&](uint32_t c) { arrive(c, body_head + "1234"); }},
      {"with a later answer that waits",
       [&](uint32_t c) {
         arrive(c, request("/1") + request("/2"));
         answer(ids_.size() - 1, "of the last client");
       }},
      {"while its answer is being sent",
       [&](uint32_t c) {
         arrive(c, request("/1"));
         answer(ids_.size() - 1, "of the last client");
         arrive(c, request("/2"));
         answer(ids_.size() - 1, "of the last client, not given to the loop");
       }},
      {"with half an answer taken",
       [&](uint32_t c) {
         arrive(c, request("/1"));
         answer(ids_.size() - 1, "of the last client");
         take(c, 10);
       }},
      {"with more requests than may wait",
       [&](uint32_t c) {
         std::string many;
         for (uint32_t i = 0; i < kExchangesMax + 3; ++i) many += request("/many");
         arrive(c, many);
         answer(ids_.size() - kExchangesMax, "of the last client");
       }},
      {"owed a 100 Continue",
       [&](uint32_t c) {
         arrive(c, request("/1") +
                       "POST /c HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n"
                       "Expect: 100-continue\r\n\r\n");
       }},
      {"while it lingers",
       [&](uint32_t c) {
         arrive(c, "not http\r\n\r\n");
         ASSERT_EQ(::write(client_ends_.back(), "x", 1), 1);  // Unread input: it lingers.
         take(c);
       }},
  };
  for (const auto& [name, leave] : ways) {
    SCOPED_TRACE(name);
    const uint32_t before = connect();
    leave(before);
    vanish(before);
    loop_.now += 40 * kSecondNs;  // Longer than a send may stand still.
    const uint32_t next = connect();
    ASSERT_EQ(next, before) << "the slot is used again";
    ASSERT_TRUE(socket(next).receiving);
    pass(kSecondNs / 4);
    ASSERT_FALSE(socket(next).closing) << "no time of the last client counts";
    const size_t first = ids_.size();
    arrive(next, request("/n1") + request("/n2"));
    ASSERT_EQ(ids_.size(), first + 2);
    EXPECT_EQ(handled_[first], "/n1");
    EXPECT_EQ(handled_[first + 1], "/n2");
    answer(first + 1, "second of the next");
    EXPECT_EQ(take(next), "");
    answer(first, "first of the next");
    const std::string all = take_all(next);
    EXPECT_EQ(count(all, "HTTP/1.1"), 2u) << all;
    EXPECT_EQ(count(all, "of the last client"), 0u) << all;
    EXPECT_EQ(count(all, "100 Continue"), 0u) << all;
    EXPECT_TRUE(all.starts_with("HTTP/1.1 200")) << all;
    EXPECT_FALSE(socket(next).closing);
    ASSERT_TRUE(socket(next).receiving);
    vanish(next);
    if (HasFatalFailure()) return;
  }
  EXPECT_EQ(connections_.open_count(), 0u);
}

TEST_F(ConnectionSlotsTest, NoMoreRequestsAreTakenThanMayWaitAndTheRestIsNotLost) {
  const uint32_t client = connect();
  std::string many;
  for (uint32_t i = 0; i < kExchangesMax + 2; ++i) many += request("/" + std::to_string(i));
  arrive(client, many);
  EXPECT_EQ(handled_.size(), kExchangesMax);
  EXPECT_FALSE(socket(client).receiving);
  answer(0, "x");
  EXPECT_EQ(handled_.size(), kExchangesMax + 1);
  EXPECT_EQ(handled_.back(), "/" + std::to_string(kExchangesMax));
  for (size_t i = 1; i < kExchangesMax + 2; ++i) answer(i, "x");
  EXPECT_EQ(handled_.size(), kExchangesMax + 2);
  EXPECT_EQ(count(take_all(client), "HTTP/1.1 200"), kExchangesMax + 2);
  EXPECT_TRUE(socket(client).receiving);
}

}  // namespace
}  // namespace postback::server
