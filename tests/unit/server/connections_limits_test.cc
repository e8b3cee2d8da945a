// Sends that are taken in parts, and every time limit of a connection.
#include "connections_fixture.h"

namespace postback::server {
namespace {

class ConnectionLimitsTest : public ConnectionsFixture {};

TEST_F(ConnectionLimitsTest, AShortSendGoesOnWithTheRest) {
  body_.assign(1000, 'x');
  for (size_t i = 0; i < body_.size(); ++i) body_[i] = static_cast<char>('a' + i % 26);
  const uint32_t client = connect();
  arrive(client, request("/1"));
  const std::string whole = socket(client).sending;
  ASSERT_GT(whole.size(), 1000u);
  std::string taken;
  for (size_t part = 1; taken.size() < whole.size(); part = part * 3 + 1) {
    const std::string bytes = take(client, part);
    ASSERT_FALSE(bytes.empty()) << "after " << taken.size() << " bytes";
    taken += bytes;
    if (taken.size() == 5) arrive(client, request("/2"));  // Its answer follows the whole first.
  }
  EXPECT_EQ(taken, whole);
  EXPECT_EQ(count(take_all(client), "HTTP/1.1 200"), 1u);
}

TEST_F(ConnectionLimitsTest,
       AClientIsClosedWhenItTakesNothingForTheSendLimitButNotWhileItTakesALittle) {
  body_.assign(1000, 'x');
  const uint32_t client = connect();
  arrive(client, request("/1"));
  for (int i = 0; i < 5; ++i) {
    pass(kSendLimitNs - kSecondNs);
    ASSERT_FALSE(socket(client).closing) << "it took some " << i << " times";
    ASSERT_EQ(take(client, 10).size(), 10u);
  }
  pass(kSendLimitNs);
  EXPECT_FALSE(socket(client).closing);
  pass(1);
  EXPECT_TRUE(socket(client).closing);
  EXPECT_EQ(connections_.counters().closed_by_limit, 1u);
}

TEST_F(ConnectionLimitsTest, ARequestIsAnsweredAtItsTimeLimitAndItsOwnAnswerThenReachesNobody) {
  answer_at_once_ = false;
  const uint32_t client = connect();
  arrive(client, request("/1"));
  pass(kPostbackLimitNs / 2);
  arrive(client, request("/2"));
  pass(kPostbackLimitNs / 2 - 1);
  EXPECT_EQ(timed_out_, 0);
  pass(1);
  EXPECT_EQ(timed_out_, 1) << "only the first has waited that long";
  EXPECT_EQ(count(take(client), "HTTP/1.1 503"), 1u);
  answer(0, "late");
  EXPECT_EQ(take(client), "");
  answer(1, "in time");
  EXPECT_EQ(count(take(client), "in time"), 1u);
  pass(10 * kPostbackLimitNs);
  EXPECT_EQ(timed_out_, 1) << "an answered request has no limit any more";
}

TEST_F(ConnectionLimitsTest, EveryRequestThatWaitsHasItsLimit) {
  answer_at_once_ = false;
  const uint32_t one = connect();
  const uint32_t two = connect();
  arrive(one, request("/1") + request("/2") + request("/3"));
  arrive(two, request("/4"));
  answer(1, "waits for the first");
  pass(kPostbackLimitNs);
  EXPECT_EQ(timed_out_, 3);
  const std::string all = take_all(one);
  EXPECT_EQ(count(all, "HTTP/1.1 503"), 2u);
  EXPECT_EQ(count(all, "waits for the first"), 1u);
  EXPECT_EQ(count(take_all(two), "HTTP/1.1 503"), 1u);
}

TEST_F(ConnectionLimitsTest, AHeadAndABodyHaveTheirTimeAndThenAre408) {
  const uint32_t head = connect();
  arrive(head, "GET /1 HTTP/1.1\r\n");
  pass(kHeadLimitNs / 2);
  arrive(head, "Host: a\r\n");  // More bytes give no more time.
  pass(kHeadLimitNs / 2);
  EXPECT_EQ(take(head), "");
  pass(1);
  EXPECT_EQ(count(take(head), "HTTP/1.1 408"), 1u);
  const uint32_t body = connect();
  arrive(body, "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n1");
  pass(kBodyLimitNs);
  EXPECT_EQ(take(body), "") << "the body has a time of its own";
  pass(1);
  EXPECT_EQ(count(take(body), "HTTP/1.1 408"), 1u);
  EXPECT_EQ(connections_.counters().closed_by_limit, 2u);
  EXPECT_TRUE(handled_.empty());
}

TEST_F(ConnectionLimitsTest, AnIdleConnectionIsClosedAfterItsTimeAndARequestBeginsItAnew) {
  const uint32_t client = connect();
  pass(kIdleLimitNs);
  EXPECT_FALSE(socket(client).closing);
  arrive(client, request("/1"));
  take(client);
  pass(kIdleLimitNs);
  EXPECT_FALSE(socket(client).closing);
  pass(1);
  EXPECT_TRUE(socket(client).closing);
}

TEST_F(ConnectionLimitsTest, AConnectionThatLingersIsClosedAfterItsTime) {
  const uint32_t client = connect();
  arrive(client, "not http\r\n\r\n");
  ASSERT_EQ(::write(client_ends_[0], "x", 1), 1);
  EXPECT_EQ(count(take(client), "HTTP/1.1 400"), 1u);
  EXPECT_FALSE(socket(client).closing);
  pass(kLingerLimitNs);
  EXPECT_FALSE(socket(client).closing);
  pass(1);
  EXPECT_TRUE(socket(client).closing);
}

TEST_F(ConnectionLimitsTest, AClientThatEndsItsSideGetsEveryAnswerBeforeTheConnectionIsClosed) {
  answer_at_once_ = false;
  const uint32_t client = connect();
  arrive(client, request("/1") + request("/2"));
  socket(client).receiving = false;
  loop_.complete(client, Event::recv, 0);
  connections_.flush();
  EXPECT_FALSE(socket(client).closing);
  answer(1, "second");
  answer(0, "first");
  EXPECT_EQ(count(take(client, 7), "HTTP/1."), 1u);
  EXPECT_FALSE(socket(client).closing);
  take_all(client);
  EXPECT_TRUE(socket(client).closing);
}

}  // namespace
}  // namespace postback::server
