#include "loop_fixture.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdlib>
#include <iostream>
#include <random>

#include "base/check.h"
#include "io/epoll_loop.h"
#include "io/uring_loop.h"

namespace postback::io {
namespace {

constexpr UringOptions kTinyUring{.submissions = 4, .buffers = 4, .buffer_bytes = 512};
constexpr EpollOptions kTinyEpoll{.recv_memory_bytes = 4 * 512, .recv_bytes_max = 512};

std::unique_ptr<Loop> make_uring(const UringOptions& options, std::string* refusal) {
  UringRefusal why;
  auto loop = UringLoop::create(options, &why);
  if (loop == nullptr) *refusal = std::string(why.step) + ": " + strerror(why.error);
  return loop;
}

std::unique_ptr<Loop> make_epoll(const EpollOptions& options, std::string* refusal) {
  int error = 0;
  auto loop = EpollLoop::create(options, &error);
  if (loop == nullptr) *refusal = strerror(error);
  return loop;
}

}  // namespace

const std::vector<Engine>& all_engines() {
  static const std::vector<Engine> engines = {
      {"io_uring", kRecvBuffers, kRecvBytesMax,
       [](std::string* refusal) { return make_uring({}, refusal); }},
      {"io_uring_tiny", 4, 512,
       [](std::string* refusal) { return make_uring(kTinyUring, refusal); }},
      {"epoll", kRecvBuffers, kRecvBytesMax,
       [](std::string* refusal) { return make_epoll({}, refusal); }},
      {"epoll_tiny", 4, 512, [](std::string* refusal) { return make_epoll(kTinyEpoll, refusal); }},
  };
  return engines;
}

void Recorder::complete(const Completion& completion) {
  Record record{completion.event, completion.result,  completion.socket,
                completion.timer, completion.context, {}};
  if (completion.event == Event::recv && completion.result > 0) {
    record.data.assign(completion.data, static_cast<size_t>(completion.result));
  }
  records.push_back(std::move(record));
}

size_t Recorder::count(Event event) const {
  size_t count = 0;
  for (const Record& record : records) count += record.event == event ? 1 : 0;
  return count;
}

const Record& Recorder::first(Event event) const {
  for (const Record& record : records) {
    if (record.event == event) return record;
  }
  CHECK(!"no such record");
  return records[0];
}

std::string Recorder::received() const {
  std::string all;
  for (const Record& record : records) all += record.data;
  return all;
}

std::pair<Fd, Fd> stream_pair() {
  int fds[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
  return {Fd(fds[0]), Fd(fds[1])};
}

Fd tcp_connect(int port) {
  Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  CHECK(fd.get() >= 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  CHECK(connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  return fd;
}

void write_all(int fd, const std::string& bytes) {
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t written = ::send(fd, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
    if (written < 0 && errno == EAGAIN) {
      pollfd wait{fd, POLLOUT, 0};
      CHECK(::poll(&wait, 1, 30'000) == 1);
      continue;
    }
    CHECK(written > 0);
    done += static_cast<size_t>(written);
  }
}

bool fd_is_open(int fd) {
  return fcntl(fd, F_GETFD) != -1;
}

size_t bytes_unread(int fd) {
  int count = 0;
  CHECK(ioctl(fd, FIONREAD, &count) == 0);
  return static_cast<size_t>(count);
}

size_t raise_open_files() {
  rlimit limit{};
  CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
  limit.rlim_cur = limit.rlim_max;
  CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
  return limit.rlim_cur;
}

uint64_t random_seed() {
  const char* given = std::getenv("TEST_SEED");
  const uint64_t seed =
      given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::cout << "TEST_SEED=" << seed << std::endl;
  return seed;
}

void LoopContract::SetUp() {
  std::string refusal;
  loop_ = GetParam().make(&refusal);
  if (loop_ == nullptr) GTEST_SKIP() << GetParam().label << " is refused here: " << refusal;
}

size_t LoopContract::turn(nanoseconds wait_max) {
  const auto completions = loop_->turn(wait_max);
  for (const Completion& completion : completions) completion.client->complete(completion);
  return completions.size();
}

bool LoopContract::turn_until(const std::function<bool()>& done, nanoseconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!done()) {
    if (std::chrono::steady_clock::now() > end) return false;
    turn();
  }
  return true;
}

void LoopContract::close_and_wait(SocketId socket, Recorder* client) {
  const size_t before = client->count(Event::closed);
  loop_->close(socket);
  ASSERT_TRUE(turn_until([&] { return client->count(Event::closed) > before; }));
}

}  // namespace postback::io
