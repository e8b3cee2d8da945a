// Connections over a fake loop and a handler that answers when the test says so. The sockets are
// real (one end of a pair), what the loop does with them is the test's choice.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "fake_loop.h"
#include "server/connections.h"

namespace postback::server {

class ConnectionsFixture : public ::testing::Test, public RequestHandler {
 protected:
  explicit ConnectionsFixture(size_t held_bytes_max = kHalfSentBytesMax)
      : connections_(&loop_, &base::system_clock(), this, held_bytes_max) {
    connections_.start(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  }
  ~ConnectionsFixture() override {
    connections_.close_all();
    connections_.drain();
    for (uint32_t i = 0; i < loop_.sockets.size(); ++i) loop_.finish_close(i);
    for (const int fd : client_ends_) ::close(fd);
  }

  uint64_t handle(const ExchangeId& id, const http::Request& request, std::string_view) override {
    handled_.emplace_back(request.path);
    ids_.push_back(id);
    if (answer_at_once_) connections_.answer(id, {.body = body_});
    return kPostbackLimitNs;
  }
  void timed_out(const ExchangeId& id) override {
    ++timed_out_;
    connections_.answer(id, {.status = 503});
  }
  void refused(const ExchangeId& id, const http::Refusal& refusal) override {
    connections_.answer(id, {.status = refusal.status, .close = true});
  }

  // A new client; the result names it below.
  uint32_t connect() {
    int ends[2] = {-1, -1};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    client_ends_.push_back(ends[1]);
    loop_.complete(0, Event::accept, ends[0]);
    for (uint32_t i = 0; i < loop_.sockets.size(); ++i) {
      if (loop_.sockets[i].open && loop_.sockets[i].fd == ends[0]) return i;
    }
    ADD_FAILURE() << "the connection was not opened";
    return 0;
  }
  FakeLoop::Socket& socket(uint32_t client) { return loop_.sockets[client]; }
  // The client's bytes arrive; the server must have asked for them.
  void arrive(uint32_t client, const std::string& bytes) {
    ASSERT_TRUE(socket(client).receiving);
    socket(client).receiving = false;
    loop_.complete(client, Event::recv, static_cast<int>(bytes.size()), bytes.data());
    connections_.flush();
  }
  // The client takes what is being sent, at most so much; returns it.
  std::string take(uint32_t client, size_t bytes_max = SIZE_MAX) {
    const std::string bytes = std::exchange(socket(client).sending, {}).substr(0, bytes_max);
    if (!bytes.empty()) loop_.complete(client, Event::send, static_cast<int>(bytes.size()));
    connections_.flush();
    return bytes;
  }
  std::string take_all(uint32_t client) {
    std::string all;
    for (std::string part = take(client); !part.empty(); part = take(client)) all += part;
    return all;
  }
  // The client is gone: its connection ends with an error, and its slot is free.
  void vanish(uint32_t client) {
    FakeLoop::Socket& gone = socket(client);
    if (std::exchange(gone.receiving, false)) {
      loop_.complete(client, Event::recv, -ECONNRESET);
    } else {
      ASSERT_FALSE(gone.sending.empty()) << "nothing would tell that it is gone";
      gone.sending.clear();
      loop_.complete(client, Event::send, -EPIPE);
    }
    ASSERT_TRUE(gone.closing);
    loop_.finish_close(client);
  }
  void answer(size_t request, const std::string& body) {
    connections_.answer(ids_[request], {.body = body});
    connections_.flush();
  }
  void pass(uint64_t time_ns) {
    loop_.now += time_ns;
    connections_.sweep(loop_.now);
    connections_.flush();
  }
  static std::string request(const std::string& path, const std::string& headers = {}) {
    return "GET " + path + " HTTP/1.1\r\nHost: a\r\n" + headers + "\r\n";
  }
  static size_t count(const std::string& text, const std::string& part) {
    size_t found = 0;
    for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
      ++found;
    return found;
  }

  FakeLoop loop_;
  Connections connections_;
  std::vector<int> client_ends_;
  std::vector<std::string> handled_;
  std::vector<ExchangeId> ids_;
  int timed_out_ = 0;
  bool answer_at_once_ = true;
  std::string body_ = "{}";
};

}  // namespace postback::server
