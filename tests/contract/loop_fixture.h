// What the loop contract tests share: the engines they run over, a client that records what it
// is told, and verbs to move the loop on.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "postback/loop.h"

namespace postback::io {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

// More than any test connects.
constexpr uint32_t kManyAccepts = UINT32_MAX;

struct Engine {
  const char* label;
  size_t recvs_per_turn_max;  // With recv_bytes_max each.
  size_t recv_bytes_max;
  // Null, with `refusal` filled in, where the system does not offer it.
  std::unique_ptr<Loop> (*make)(std::string* refusal);
};

// Both backends with the server's sizes, and both with tiny ones, so that every queue and buffer
// runs over all the time.
const std::vector<Engine>& all_engines();

struct Record {
  Event event;
  int32_t result;
  SocketId socket;
  TimerId timer;
  uint64_t context;
  std::string data;  // A copy.
};

class Recorder final : public LoopClient {
 public:
  void complete(const Completion& completion) override;

  size_t count(Event event) const;
  // The first record of that kind; one must exist.
  const Record& first(Event event) const;
  std::string received() const;  // The data of all recv records.

  std::vector<Record> records;
};

// A descriptor of the test's own, closed at the end of its scope.
class Fd {
 public:
  explicit Fd(int fd = -1) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd() { reset(); }
  void reset() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

// Two connected non-blocking stream sockets.
std::pair<Fd, Fd> stream_pair();
// A blocking TCP connection to 127.0.0.1:port.
Fd tcp_connect(int port);
// Writes all, blocking if it must.
void write_all(int fd, const std::string& bytes);
bool fd_is_open(int fd);
size_t bytes_unread(int fd);
// Raises the soft limit of open files to the hard one and returns it.
size_t raise_open_files();
uint64_t random_seed();  // Printed, so that a failure can be repeated (TEST_SEED=n).

class LoopContract : public testing::TestWithParam<Engine> {
 protected:
  void SetUp() override;

  // One turn; each completion is delivered to its client. Returns how many there were.
  size_t turn(nanoseconds wait_max = milliseconds(20));
  // Turns until `done`; false after `limit`, far beyond what a healthy loop needs.
  bool turn_until(const std::function<bool()>& done, nanoseconds limit = seconds(30));
  // Closes and waits for `closed`.
  void close_and_wait(SocketId socket, Recorder* client);

  std::unique_ptr<Loop> loop_;
};

}  // namespace postback::io
