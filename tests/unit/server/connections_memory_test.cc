// What clients make a core hold has a bound, and the laziest of them pay.
#include "connections_fixture.h"

namespace postback::server {
namespace {

constexpr size_t kBound = 1024 * 1024;
constexpr size_t kBodyBytes = 60'000;
constexpr size_t kClients = 40;  // More than twice as many as the bound has room for.

class ConnectionsMemoryTest : public ConnectionsFixture {
 protected:
  ConnectionsMemoryTest() : ConnectionsFixture(kBound) {}

  // All but the last byte of a request's body, in three pieces.
  uint32_t send_most() {
    const uint32_t client = connect();
    loop_.now += kMillisecondNs;
    arrive(client, "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: " +
                       std::to_string(kBodyBytes + 1) + "\r\n\r\n");
    arrive(client, std::string(kBodyBytes / 2, 'x'));
    arrive(client, std::string(kBodyBytes / 2, 'x'));
    return client;
  }
};

TEST_F(ConnectionsMemoryTest, HalfSentRequestsAreBoundedAndTheLaziestAreToldToComeAgain) {
  std::vector<uint32_t> clients;
  for (size_t i = 0; i < kClients; ++i) {
    clients.push_back(send_most());
    // A parser takes up to twice of what it holds while it grows, the connections themselves apart.
    EXPECT_LE(connections_.buffer_bytes(), kBound + 4 * kBodyBytes + kClients * 4096);
  }
  size_t refused = 0;
  for (size_t i = 0; i < kClients; ++i) {
    const std::string answer = take_all(clients[i]);
    if (answer.empty()) continue;
    EXPECT_NE(answer.find(" 503 "), std::string::npos);
    EXPECT_NE(answer.find("Connection: close"), std::string::npos);
    EXPECT_EQ(refused, i) << "those that began first";
    ++refused;
  }
  EXPECT_GT(refused, kClients / 3);
  EXPECT_EQ(connections_.counters().shed, refused);
  EXPECT_LT(refused, kClients - 5);
  for (size_t i = refused; i < kClients; ++i) {
    arrive(clients[i], "x");
    EXPECT_NE(take_all(clients[i]).find(" 200 "), std::string::npos);
  }
  EXPECT_EQ(handled_.size(), kClients - refused) << "whoever was in time is served";
}

TEST_F(ConnectionsMemoryTest, BuffersOfClientsThatWaitForNothingAreTakenBackFirst) {
  std::vector<uint32_t> idle;
  for (size_t i = 0; i < kClients; ++i) {
    idle.push_back(send_most());
    arrive(idle.back(), "x");
    EXPECT_FALSE(take_all(idle.back()).empty());
  }
  EXPECT_LE(connections_.buffer_bytes(), kBound + 4 * kBodyBytes + kClients * 4096);
  EXPECT_EQ(handled_.size(), kClients);
  EXPECT_EQ(connections_.counters().shed, 0u);
  for (const uint32_t client : idle) EXPECT_TRUE(socket(client).receiving);
}

TEST_F(ConnectionsMemoryTest, AConnectionThatIsGoneHoldsNothing) {
  for (int round = 0; round < 3; ++round) {
    for (size_t i = 0; i < 10; ++i) vanish(send_most());
  }
  EXPECT_EQ(connections_.counters().shed, 0u);
}

TEST_F(ConnectionsMemoryTest, AnswersThatAreNotTakenAreBoundedAndTheLaziestAreClosed) {
  body_.assign(kOutputBytesMax / 2, 'x');
  std::vector<uint32_t> clients;
  for (size_t i = 0; i < 10; ++i) {
    clients.push_back(connect());
    loop_.now += kMillisecondNs;
    for (const char* path : {"/1", "/2", "/3"}) arrive(clients.back(), request(path));
  }
  pass(kSweepIntervalNs);
  size_t closed = 0;
  for (size_t i = 0; i < clients.size(); ++i) {
    if (!socket(clients[i]).closing) continue;
    EXPECT_EQ(closed, i) << "those that have taken nothing for longest";
    ++closed;
  }
  EXPECT_GT(closed, 5u);
  EXPECT_LT(closed, clients.size());
  for (const uint32_t client : clients) loop_.finish_close(client);
  EXPECT_LE(connections_.buffer_bytes(), kBound + clients.size() * 4096);
}

}  // namespace
}  // namespace postback::server
