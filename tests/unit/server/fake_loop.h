// A loop that does nothing by itself. It keeps the contract of postback/loop.h as the real ones do:
// slots are reused, last in first out, under a new generation; a stale handle is ignored; a send
// may be taken in parts; between close() and `closed` a completion may still come. What happens,
// and when, is the test's choice.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "postback/loop.h"
#include "server/limits.h"

namespace postback::server {

class FakeLoop final : public Loop {
 public:
  struct Socket {
    uint32_t generation = 0;
    int fd = -1;
    LoopClient* client = nullptr;
    uint64_t context = 0;
    bool open = false;
    bool receiving = false;
    bool closing = false;
    std::string sending;  // Empty: no send is outstanding.
  };

  const char* name() const override { return "fake"; }
  SocketId open(int fd, LoopClient* client, uint64_t context) override {
    uint32_t index = static_cast<uint32_t>(sockets.size());
    if (free_.empty()) {
      sockets.emplace_back();
    } else {
      index = free_.back();
      free_.pop_back();
    }
    Socket& socket = sockets[index];
    const uint32_t generation = socket.generation;
    socket = Socket{};
    socket.generation = generation;
    socket.fd = fd;
    socket.client = client;
    socket.context = context;
    socket.open = true;
    return {index, generation};
  }
  SocketId watch(int, LoopClient*, uint64_t) override { return {}; }
  void accept(SocketId) override {}
  void recv(SocketId id) override {
    Socket* socket = find(id);
    if (socket == nullptr) return;
    EXPECT_FALSE(socket->receiving);
    socket->receiving = true;
  }
  void send(SocketId id, const char* data, size_t size) override {
    Socket* socket = find(id);
    if (socket == nullptr) return;
    EXPECT_TRUE(socket->sending.empty());
    EXPECT_GT(size, 0u);
    socket->sending.assign(data, size);
  }
  void poll(SocketId, uint32_t) override {}
  void poll_change(SocketId, uint32_t) override {}
  void close(SocketId id) override {
    Socket* socket = find(id);
    if (socket != nullptr) socket->closing = true;
  }
  TimerId timer_start(std::chrono::nanoseconds, LoopClient*, uint64_t) override { return {}; }
  void timer_cancel(TimerId) override {}
  void wake() override {}
  std::span<const Completion> turn(std::chrono::nanoseconds) override { return {}; }
  uint64_t now_ns() const override { return now; }

  // What the test does.
  SocketId id_of(uint32_t index) const { return {index, sockets[index].generation}; }
  void complete(uint32_t index, Event event, int result, const char* data = nullptr) {
    const Socket& socket = sockets[index];
    socket.client->complete({.event = event,
                             .result = result,
                             .socket = id_of(index),
                             .timer = {},
                             .data = data,
                             .client = socket.client,
                             .context = socket.context});
  }
  // A socket that was asked to close is gone.
  void finish_close(uint32_t index) {
    Socket& socket = sockets[index];
    if (!socket.open || !socket.closing) return;
    const Completion closed{.event = Event::closed,
                            .result = 0,
                            .socket = id_of(index),
                            .timer = {},
                            .data = nullptr,
                            .client = socket.client,
                            .context = socket.context};
    ::close(socket.fd);
    socket.open = false;
    ++socket.generation;
    free_.push_back(index);
    closed.client->complete(closed);
  }

  std::vector<Socket> sockets;
  uint64_t now = kSecondNs;

 private:
  Socket* find(SocketId id) {
    if (id.index >= sockets.size()) return nullptr;
    Socket& socket = sockets[id.index];
    return socket.open && !socket.closing && socket.generation == id.generation ? &socket : nullptr;
  }

  std::vector<uint32_t> free_;
};

}  // namespace postback::server
