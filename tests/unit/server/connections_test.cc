// Connections over a fake loop and a handler that answers when the test says so. The sockets are
// real (one end of a pair), what the loop does with them is the test's choice.
#include "server/connections.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

namespace postback::server {
namespace {

class FakeLoop final : public Loop {
 public:
  const char* name() const override { return "fake"; }
  SocketId open(int fd, LoopClient*, uint64_t context) override {
    const auto index = static_cast<uint32_t>(sockets.size());
    sockets.emplace_back();
    sockets.back().fd = fd;
    sockets.back().context = context;
    return {index, 0};
  }
  SocketId watch(int, LoopClient*, uint64_t) override { return {}; }
  void accept(SocketId, uint32_t count) override { accepts_left += count; }
  void recv(SocketId socket) override {
    EXPECT_FALSE(sockets[socket.index].receiving);
    sockets[socket.index].receiving = true;
  }
  void send(SocketId socket, const char* data, size_t size) override {
    EXPECT_TRUE(sockets[socket.index].sending.empty());
    sockets[socket.index].sending.assign(data, size);
  }
  void poll(SocketId, uint32_t) override {}
  void poll_change(SocketId, uint32_t) override {}
  void close(SocketId socket) override { sockets[socket.index].closing = true; }
  TimerId timer_start(std::chrono::nanoseconds, LoopClient*, uint64_t) override { return {}; }
  void timer_cancel(TimerId) override {}
  void wake() override {}
  std::span<const Completion> turn(std::chrono::nanoseconds) override { return {}; }
  uint64_t now_ns() const override { return now; }

  struct Socket {
    int fd = -1;
    uint64_t context = 0;
    bool receiving = false;
    bool closing = false;
    bool closed = false;
    std::string sending;  // Empty: no send is outstanding.
  };
  std::vector<Socket> sockets;
  uint64_t accepts_left = 0;  // On the listener.
  uint64_t now = kSecondNs;
};

class ConnectionsTest : public ::testing::Test, public RequestHandler {
 protected:
  ConnectionsTest() : connections_(&loop_, &base::system_clock(), this) {
    connections_.start(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  }
  ~ConnectionsTest() override {
    connections_.close_all();
    connections_.drain();
    for (uint32_t i = 0; i < loop_.sockets.size(); ++i) finish_close(i);
    for (const int fd : client_ends_) ::close(fd);
  }

  uint64_t handle(const ExchangeId& id, const http::Request& request, std::string_view) override {
    handled_.emplace_back(request.path);
    ids_.push_back(id);
    if (answer_at_once_) connections_.answer(id, {.body = body_});
    return kPostbackLimitNs;
  }
  void timed_out(const ExchangeId& id) override { connections_.answer(id, {.status = 503}); }
  void refused(const ExchangeId& id, const http::Refusal& refusal) override {
    connections_.answer(id, {.status = refusal.status, .close = true});
  }

  // A new client; the result names it below.
  uint32_t connect() {
    int ends[2] = {-1, -1};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    client_ends_.push_back(ends[1]);
    const auto index = static_cast<uint32_t>(loop_.sockets.size());
    complete(0, Event::accept, ends[0]);
    return index;
  }
  void complete(uint32_t socket, Event event, int result, const char* data = nullptr) {
    connections_.complete({.event = event,
                           .result = result,
                           .socket = {socket, 0},
                           .timer = {},
                           .data = data,
                           .client = &connections_,
                           .context = loop_.sockets[socket].context});
  }
  // The client's bytes arrive; the server must have asked for them.
  void arrive(uint32_t socket, const std::string& bytes) {
    ASSERT_TRUE(loop_.sockets[socket].receiving);
    loop_.sockets[socket].receiving = false;
    complete(socket, Event::recv, static_cast<int>(bytes.size()), bytes.data());
    connections_.flush();
  }
  // The client takes what is being sent; returns it.
  std::string take(uint32_t socket) {
    const std::string bytes = std::exchange(loop_.sockets[socket].sending, {});
    if (!bytes.empty()) complete(socket, Event::send, static_cast<int>(bytes.size()));
    connections_.flush();
    return bytes;
  }
  void finish_close(uint32_t socket) {
    FakeLoop::Socket& closing = loop_.sockets[socket];
    if (!closing.closing || closing.closed) return;
    closing.closed = true;
    ::close(closing.fd);
    complete(socket, Event::closed, 0);
  }
  static std::string request(const std::string& path, const std::string& headers = {}) {
    return "GET " + path + " HTTP/1.1\r\nHost: a\r\n" + headers + "\r\n";
  }

  FakeLoop loop_;
  Connections connections_;
  std::vector<int> client_ends_;
  std::vector<std::string> handled_;
  std::vector<ExchangeId> ids_;
  bool answer_at_once_ = true;
  std::string body_ = "{}";
};

TEST_F(ConnectionsTest, ReadingGoesOnWhenTheClientHasTakenAFullOutput) {
  body_.assign(kOutputBytesMax / 2, 'x');
  const uint32_t client = connect();
  // The first answer is being sent; the next two fill the output while the client takes nothing.
  for (const char* path : {"/1", "/2", "/3"}) arrive(client, request(path));
  EXPECT_FALSE(loop_.sockets[client].receiving) << "reading stops at the bound";
  EXPECT_FALSE(take(client).empty());
  EXPECT_FALSE(take(client).empty());
  ASSERT_TRUE(loop_.sockets[client].receiving);
  arrive(client, request("/4"));
  EXPECT_EQ(handled_.back(), "/4");
}

TEST_F(ConnectionsTest, ClosingWaitsForTheRestOfTheInputSoThatTheAnswerIsNotReset) {
  const uint32_t client = connect();
  arrive(client, request("/1", "Connection: close\r\n"));
  // What comes behind the last request, and was not read: close() would send a reset.
  ASSERT_EQ(::write(client_ends_[0], "\r\n", 2), 2);
  EXPECT_FALSE(take(client).empty());
  EXPECT_FALSE(loop_.sockets[client].closing);
  arrive(client, "\r\n");
  EXPECT_EQ(handled_.size(), 1u);
  ASSERT_TRUE(loop_.sockets[client].receiving);
  complete(client, Event::recv, 0);
  EXPECT_TRUE(loop_.sockets[client].closing);
}

TEST_F(ConnectionsTest, ClosesAtOnceBehindTheLastAnswerWhenNothingMoreHasCome) {
  const uint32_t client = connect();
  arrive(client, request("/1", "Connection: close\r\n"));
  EXPECT_FALSE(take(client).empty());
  EXPECT_TRUE(loop_.sockets[client].closing);
}

TEST_F(ConnectionsTest, DrainingClosesIdleConnectionsAndFinishesRequestsThatHaveBegun) {
  const uint32_t idle = connect();
  const uint32_t sending = connect();
  const std::string bytes = request("/1");
  loop_.now += kSecondNs;
  arrive(sending, bytes.substr(0, 10));
  connections_.drain();
  connections_.flush();
  EXPECT_TRUE(loop_.sockets[idle].closing);
  EXPECT_FALSE(loop_.sockets[sending].closing);
  arrive(sending, bytes.substr(10));
  EXPECT_NE(take(sending).find("Connection: close\r\n"), std::string::npos);
  EXPECT_TRUE(loop_.sockets[sending].closing);
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
  EXPECT_TRUE(loop_.sockets[client].closing);
}

TEST_F(ConnectionsTest, DrainingStillAnswersAClientWhoseNextRequestIsOnItsWay) {
  const uint32_t busy = connect();
  const uint32_t silent = connect();
  arrive(busy, request("/1"));
  take(busy);
  connections_.drain();
  connections_.flush();
  EXPECT_FALSE(loop_.sockets[busy].closing);
  arrive(busy, request("/2"));
  EXPECT_NE(take(busy).find("Connection: close\r\n"), std::string::npos);
  EXPECT_TRUE(loop_.sockets[busy].closing);
  connections_.sweep(loop_.now + kSecondNs / 10);
  EXPECT_FALSE(loop_.sockets[silent].closing);
  connections_.sweep(loop_.now + kSecondNs / 2);
  EXPECT_TRUE(loop_.sockets[silent].closing);
}

TEST_F(ConnectionsTest, AConnectionThatTheClosedListenerHandsOutIsServed) {
  connections_.drain();
  const uint32_t late = connect();
  arrive(late, request("/late"));
  EXPECT_NE(take(late).find("Connection: close\r\n"), std::string::npos);
  connections_.close_all();
  const uint32_t too_late = connect();
  EXPECT_TRUE(loop_.sockets[too_late].closing);
}

TEST_F(ConnectionsTest, LeavingServesOnAndClosesBehindEachAnswer) {
  const uint32_t before = connect();
  connections_.leave();
  const uint32_t after = connect();
  for (const uint32_t client : {before, after}) {
    EXPECT_FALSE(loop_.sockets[client].closing);
    arrive(client, request("/1"));
    EXPECT_NE(take(client).find("Connection: close\r\n"), std::string::npos);
    EXPECT_TRUE(loop_.sockets[client].closing);
  }
  EXPECT_FALSE(loop_.sockets[0].closing) << "the listener";
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
  finish_close(client);
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
  for (const uint32_t client : clients) EXPECT_FALSE(loop_.sockets[client].closing);
  loop_.now += kSecondNs;
  connections_.sweep(loop_.now);
  EXPECT_EQ(connections_.counters().closed_for_room, 16u);
  for (size_t i = 1; i <= 16; ++i) EXPECT_TRUE(loop_.sockets[clients[i]].closing) << i;
  EXPECT_FALSE(loop_.sockets[clients[17]].closing);
  EXPECT_FALSE(loop_.sockets[clients[0]].closing);
  EXPECT_FALSE(loop_.sockets[working].closing) << "it is sending a request";
}

TEST_F(ConnectionsTest, BelowTheBoundNobodyMakesRoomUnlessDescriptorsAreShort) {
  connections_.set_bound(20);
  const uint32_t client = connect();
  loop_.now += kSecondNs;
  connections_.sweep(loop_.now);
  EXPECT_FALSE(loop_.sockets[client].closing);
  complete(0, Event::accept, -EMFILE);
  connections_.sweep(loop_.now);
  EXPECT_TRUE(loop_.sockets[client].closing);
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
