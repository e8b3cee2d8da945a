// Sends postbacks when they are due, over nonblocking connections on one epoll. One thread.
//
// A connection is one of:
//
//   away        no socket: not yet made, or closed; in keep-alive it is made anew by itself
//   connecting
//   free        may take a postback (with --close: has no socket, and makes one for it)
//   busy        carries one postback; its answer is not complete
#pragma once

#include <netinet/in.h>

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "base/status.h"
#include "load/account.h"
#include "load/options.h"
#include "load/requests.h"

namespace postback::load {

class Generator {
 public:
  // `options` and `account` outlive this. `stop` is set by a signal handler.
  Generator(const Options& options, Account* account, const volatile int* stop);
  ~Generator();
  Generator(const Generator&) = delete;
  Generator& operator=(const Generator&) = delete;

  // Resolves the host.
  base::Status prepare();
  // Runs to the end and prints the account.
  void run();

 private:
  enum class State { kAway, kConnecting, kFree, kBusy };
  struct Connection {
    State state = State::kAway;
    int fd = -1;
    bool has_request = false;  // A postback is on it: busy, or connecting for it (--close).
    uint64_t number = 0;
    int64_t due_ns = 0;
    int64_t give_up_ns = 0;
    int64_t connect_at_ns = 0;  // Away: when to try (again).
    std::string out;
    size_t out_sent = 0;
    std::string in;
  };

  int64_t due_ns(uint64_t index) const;
  uint64_t due_count(int64_t now) const;  // Postbacks that are due by then.
  void end_offering(int64_t now);
  void start_due(int64_t now);
  void start(Connection* connection, uint64_t index, int64_t now);
  void wait(int64_t now);
  void handle(Connection* connection, uint32_t events);
  void connect(Connection* connection, int64_t now);
  void connected(Connection* connection);
  void send(Connection* connection);
  void receive(Connection* connection);
  void fail(Connection* connection);
  void disconnect(Connection* connection);
  void watch(Connection* connection, uint32_t events, bool add);
  void look_after_connections(int64_t now);

  const Options& options_;
  Account* account_;
  const volatile int* stop_;
  Requests requests_;
  sockaddr_storage address_{};
  socklen_t address_size_ = 0;
  int epoll_ = -1;
  std::vector<Connection> connections_;
  std::deque<uint32_t> free_;  // Oldest first, so that all connections are used.
  int64_t start_ns_ = 0;
  uint64_t next_index_ = 0;
  uint64_t index_end_ = 0;
  size_t busy_ = 0;
};

}  // namespace postback::load
