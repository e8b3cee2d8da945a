// Reading, answering in order and closing.
#include "connections_fixture.h"

namespace postback::server {
namespace {

using ConnectionsTest = ConnectionsFixture;

TEST_F(ConnectionsTest, ReadingGoesOnWhenTheClientHasTakenAFullOutput) {
  body_.assign(kOutputBytesMax / 2, 'x');
  const uint32_t client = connect();
  // The first answer is being sent; the next two fill the output while the client takes nothing.
  for (const char* path : {"/1", "/2", "/3"}) arrive(client, request(path));
  EXPECT_FALSE(socket(client).receiving) << "reading stops at the bound";
  EXPECT_FALSE(take(client).empty());
  EXPECT_FALSE(take(client).empty());
  ASSERT_TRUE(socket(client).receiving);
  arrive(client, request("/4"));
  EXPECT_EQ(handled_.back(), "/4");
}

TEST_F(ConnectionsTest, ClosingWaitsForTheRestOfTheInputSoThatTheAnswerIsNotReset) {
  const uint32_t client = connect();
  arrive(client, request("/1", "Connection: close\r\n"));
  // What comes behind the last request, and was not read: close() would send a reset.
  ASSERT_EQ(::write(client_ends_[0], "\r\n", 2), 2);
  EXPECT_FALSE(take(client).empty());
  EXPECT_FALSE(socket(client).closing);
  arrive(client, "\r\n");
  EXPECT_EQ(handled_.size(), 1u);
  ASSERT_TRUE(socket(client).receiving);
  loop_.complete(client, Event::recv, 0);
  EXPECT_TRUE(socket(client).closing);
}

TEST_F(ConnectionsTest, ClosesAtOnceBehindTheLastAnswerWhenNothingMoreHasCome) {
  const uint32_t client = connect();
  arrive(client, request("/1", "Connection: close\r\n"));
  EXPECT_FALSE(take(client).empty());
  EXPECT_TRUE(socket(client).closing);
}

TEST_F(ConnectionsTest, DrainingClosesIdleConnectionsAndFinishesRequestsThatHaveBegun) {
  const uint32_t idle = connect();
  const uint32_t sending = connect();
  const std::string bytes = request("/1");
  loop_.now += kSecondNs;
  arrive(sending, bytes.substr(0, 10));
  connections_.drain();
  connections_.flush();
  EXPECT_TRUE(socket(idle).closing);
  EXPECT_FALSE(socket(sending).closing);
  arrive(sending, bytes.substr(10));
  EXPECT_NE(take(sending).find("Connection: close\r\n"), std::string::npos);
  EXPECT_TRUE(socket(sending).closing);
}

TEST_F(ConnectionsTest, DrainingTellsTheClientWithTheLastAnswerThatItCloses) {
  answer_at_once_ = false;
  const uint32_t client = connect();
  arrive(client, request("/1") + request("/2"));
  connections_.drain();
  for (const ExchangeId& id : ids_) connections_.answer(id, {.body = body_});
  connections_.flush();
  const std::string answers = take(client);
  const size_t second = answers.find("HTTP/1.1", 1);
  ASSERT_NE(second, std::string::npos);
  EXPECT_GT(answers.find("Connection: close\r\n"), second);
  EXPECT_NE(answers.find("Connection: close\r\n"), std::string::npos);
  EXPECT_TRUE(socket(client).closing);
}

TEST_F(ConnectionsTest, DrainingStillAnswersAClientWhoseNextRequestIsOnItsWay) {
  const uint32_t busy = connect();
  const uint32_t silent = connect();
  arrive(busy, request("/1"));
  take(busy);
  connections_.drain();
  connections_.flush();
  EXPECT_FALSE(socket(busy).closing);
  arrive(busy, request("/2"));
  EXPECT_NE(take(busy).find("Connection: close\r\n"), std::string::npos);
  EXPECT_TRUE(socket(busy).closing);
  connections_.sweep(loop_.now + kSecondNs / 10);
  EXPECT_FALSE(socket(silent).closing);
  connections_.sweep(loop_.now + kSecondNs / 2);
  EXPECT_TRUE(socket(silent).closing);
}

TEST_F(ConnectionsTest, AConnectionThatTheClosedListenerHandsOutIsServed) {
  connections_.drain();
  const uint32_t late = connect();
  arrive(late, request("/late"));
  EXPECT_NE(take(late).find("Connection: close\r\n"), std::string::npos);
  connections_.close_all();
  const uint32_t too_late = connect();
  EXPECT_TRUE(socket(too_late).closing);
}

TEST_F(ConnectionsTest, LeavingServesOnAndClosesBehindEachAnswer) {
  const uint32_t before = connect();
  connections_.leave();
  const uint32_t after = connect();
  for (const uint32_t client : {before, after}) {
    EXPECT_FALSE(socket(client).closing);
    arrive(client, request("/1"));
    EXPECT_NE(take(client).find("Connection: close\r\n"), std::string::npos);
    EXPECT_TRUE(socket(client).closing);
  }
  EXPECT_FALSE(socket(0).closing) << "the listener";
}

TEST_F(ConnectionsTest, NothingIsAcceptedBeforeABoundIsSetNorBeyondIt) {
  EXPECT_EQ(loop_.accepts_left, 0u);
  connections_.set_bound(3);
  EXPECT_EQ(loop_.accepts_left, 3u);
  const uint32_t client = connect();
  connect();
  connect();
  loop_.accepts_left = 0;
  arrive(client, request("/1", "Connection: close\r\n"));
  take(client);
  loop_.finish_close(client);
  EXPECT_EQ(loop_.accepts_left, 1u) << "one has gone, one may come";
}

TEST_F(ConnectionsTest, AtTheBoundThoseThatWereIdleTheLongestMakeRoom) {
  // The fake listener does not tell how many clients wait, so sixteen at most go.
  connections_.set_bound(20);
  std::vector<uint32_t> clients;
  for (int i = 0; i < 19; ++i) {
    clients.push_back(connect());
    loop_.now += kMillisecondNs;
  }
  const uint32_t working = connect();
  arrive(working, request("/1").substr(0, 10));
  arrive(clients[0], request("/1"));  // The first one is the youngest now.
  take(clients[0]);
  connections_.sweep(loop_.now + 100 * kMillisecondNs);
  for (const uint32_t client : clients) EXPECT_FALSE(socket(client).closing);
  loop_.now += kSecondNs;
  connections_.sweep(loop_.now);
  EXPECT_EQ(connections_.counters().closed_for_room, 16u);
  for (size_t i = 1; i <= 16; ++i) EXPECT_TRUE(socket(clients[i]).closing) << i;
  EXPECT_FALSE(socket(clients[17]).closing);
  EXPECT_FALSE(socket(clients[0]).closing);
  EXPECT_FALSE(socket(working).closing) << "it is sending a request";
}

TEST_F(ConnectionsTest, BelowTheBoundNobodyMakesRoomUnlessDescriptorsAreShort) {
  connections_.set_bound(20);
  const uint32_t client = connect();
  loop_.now += kSecondNs;
  connections_.sweep(loop_.now);
  EXPECT_FALSE(socket(client).closing);
  loop_.complete(0, Event::accept, -EMFILE);
  connections_.sweep(loop_.now);
  EXPECT_TRUE(socket(client).closing);
  EXPECT_EQ(connections_.counters().accept_errors, 1u);
}

TEST_F(ConnectionsTest, AnIdleConnectionGivesItsBuffersBack) {
  body_.assign(4000, 'x');
  const uint32_t client = connect();
  const size_t fresh_bytes = connections_.buffer_bytes();
  const std::string body(60'000, 'x');
  arrive(client, "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(body.size()) +
                     "\r\n\r\n");
  arrive(client, body.substr(0, 30'000));
  arrive(client, body.substr(30'000));
  EXPECT_FALSE(take(client).empty());
  EXPECT_GT(connections_.buffer_bytes(), fresh_bytes + body.size());
  loop_.now += kIdleBuffersNs + 1;
  connections_.sweep(loop_.now);
  EXPECT_LE(connections_.buffer_bytes(), fresh_bytes + 1024);
  arrive(client, request("/2"));
  EXPECT_EQ(handled_.back(), "/2");
}

}  // namespace
}  // namespace postback::server
