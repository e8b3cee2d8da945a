#include "load/generator.h"

#include <netdb.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>

#include "base/check.h"
#include "load/answer.h"

namespace postback::load {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;
// After a connection failed. A server that is away is not asked in a tight loop.
constexpr int64_t kReconnectNs = 10'000'000;
// How often connections are looked over for timeouts and reconnects.
constexpr int64_t kLookNs = 10'000'000;

int64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * kSecondNs + now.tv_nsec;
}

uint64_t microseconds(int64_t ns) {
  return static_cast<uint64_t>(std::max<int64_t>(ns, 0) / 1000);
}

}  // namespace

Generator::Generator(const Options& options, Account* account, const volatile int* stop)
    : options_(options),
      account_(account),
      stop_(stop),
      requests_(options),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      connections_(static_cast<size_t>(options.connections)),
      index_end_(static_cast<uint64_t>(std::ceil(options.rate * options.seconds))) {
  CHECK(epoll_ >= 0);
}

Generator::~Generator() {
  for (Connection& connection : connections_) {
    if (connection.fd >= 0) close(connection.fd);
  }
  close(epoll_);
}

base::Status Generator::prepare() {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error =
      getaddrinfo(options_.host.c_str(), std::to_string(options_.port).c_str(), &hints, &found);
  if (error != 0) {
    return base::Status::error("cannot resolve " + options_.host + ": " + gai_strerror(error));
  }
  address_size_ = found->ai_addrlen;
  std::copy_n(reinterpret_cast<const char*>(found->ai_addr), found->ai_addrlen,
              reinterpret_cast<char*>(&address_));
  freeaddrinfo(found);
  return base::Status();
}

void Generator::run() {
  // Keep-alive connections get a moment to be made before the first postback is due.
  start_ns_ = now_ns() + kSecondNs / 10;
  for (uint32_t i = 0; i < connections_.size() && options_.close; ++i) {
    connections_[i].state = State::kFree;
    free_.push_back(i);
  }
  int64_t next_look = 0;
  uint64_t second = 0;
  while (true) {
    const int64_t now = now_ns();
    if (*stop_ != 0) index_end_ = std::min(index_end_, due_count(now));
    if (now >= next_look) {
      look_after_connections(now);
      next_look = now + kLookNs;
    }
    for (; now >= start_ns_ + static_cast<int64_t>(second + 1) * kSecondNs; ++second) {
      account_->end_second(second, due_count(now) - next_index_);
    }
    start_due(now);
    if (next_index_ == index_end_ && busy_ == 0) break;
    const int64_t last_send = due_ns(index_end_) + options_.timeout_ms * int64_t{1'000'000};
    if (now >= last_send) end_offering(now);
    wait(now);
    account_->write_ids();
  }
  const int64_t end = now_ns();
  account_->end_second(second, 0);
  account_->print(static_cast<double>(end - start_ns_) / 1e9, index_end_);
}

int64_t Generator::due_ns(uint64_t index) const {
  return start_ns_ + static_cast<int64_t>(static_cast<double>(index) * 1e9 / options_.rate);
}

uint64_t Generator::due_count(int64_t now) const {
  if (now < start_ns_) return 0;
  const double count = static_cast<double>(now - start_ns_) * options_.rate / 1e9;
  return std::clamp(static_cast<uint64_t>(count) + 1, next_index_, index_end_);
}

// The wait for late answers is over: what was not sent by now never will be.
void Generator::end_offering(int64_t now) {
  for (; next_index_ < index_end_; ++next_index_) {
    account_->never_sent(microseconds(now - due_ns(next_index_)));
  }
}

void Generator::start_due(int64_t now) {
  while (next_index_ < index_end_ && !free_.empty() && due_ns(next_index_) <= now) {
    Connection* connection = &connections_[free_.front()];
    free_.pop_front();
    // It was closed while it waited for its turn.
    if (connection->state != State::kFree) continue;
    start(connection, next_index_++, now);
  }
}

void Generator::start(Connection* connection, uint64_t index, int64_t now) {
  connection->number = requests_.number_of(index);
  connection->due_ns = due_ns(index);
  connection->give_up_ns = now + options_.timeout_ms * int64_t{1'000'000};
  connection->has_request = true;
  connection->out_sent = 0;
  requests_.write(connection->number, &connection->out);
  ++busy_;
  account_->sent(microseconds(now - connection->due_ns));
  if (connection->fd < 0) {
    connect(connection, now);
  } else {
    connection->state = State::kBusy;
    send(connection);
  }
}

// Sleeps until something arrives, the next postback is due, or connections want a look.
void Generator::wait(int64_t now) {
  int64_t until = now + kLookNs;
  if (next_index_ < index_end_ && !free_.empty()) until = std::min(until, due_ns(next_index_));
  const int64_t sleep_ns = std::max<int64_t>(until - now_ns(), 0);
  const timespec timeout{.tv_sec = sleep_ns / kSecondNs, .tv_nsec = sleep_ns % kSecondNs};
  epoll_event events[256];
  const int count = epoll_pwait2(epoll_, events, 256, &timeout, nullptr);
  CHECK(count >= 0 || errno == EINTR);
  for (int i = 0; i < count; ++i) handle(&connections_[events[i].data.u32], events[i].events);
}

void Generator::handle(Connection* connection, uint32_t events) {
  switch (connection->state) {
    case State::kAway:
      return;
    case State::kConnecting: {
      int error = 0;
      socklen_t size = sizeof error;
      getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &error, &size);
      if (error != 0) return fail(connection);
      return connected(connection);
    }
    case State::kFree:
      // Nothing is expected here but the server's goodbye.
      account_->reconnected();
      return disconnect(connection);
    case State::kBusy:
      if ((events & EPOLLOUT) != 0 && connection->out_sent < connection->out.size()) {
        send(connection);
      }
      if (connection->state == State::kBusy && (events & ~uint32_t{EPOLLOUT}) != 0) {
        receive(connection);
      }
      return;
  }
}

void Generator::connect(Connection* connection, int64_t now) {
  connection->fd =
      socket(address_.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
  CHECK(connection->fd >= 0);  // main() has raised the limit of descriptors.
  const int one = 1;
  setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  connection->in.clear();
  connection->state = State::kConnecting;
  connection->connect_at_ns = now;
  const int result =
      ::connect(connection->fd, reinterpret_cast<const sockaddr*>(&address_), address_size_);
  if (result != 0 && errno != EINPROGRESS) return fail(connection);
  watch(connection, EPOLLOUT, true);
}

void Generator::connected(Connection* connection) {
  watch(connection, EPOLLIN, false);
  if (connection->has_request) {
    connection->state = State::kBusy;
    return send(connection);
  }
  connection->state = State::kFree;
  free_.push_back(static_cast<uint32_t>(connection - connections_.data()));
}

void Generator::send(Connection* connection) {
  const std::string& out = connection->out;
  const ssize_t size = ::send(connection->fd, out.data() + connection->out_sent,
                              out.size() - connection->out_sent, MSG_NOSIGNAL);
  if (size < 0 && errno != EAGAIN) return fail(connection);
  const bool began_blocked = connection->out_sent != 0;
  if (size > 0) connection->out_sent += static_cast<size_t>(size);
  if (connection->out_sent < out.size()) {
    watch(connection, EPOLLIN | EPOLLOUT, false);
  } else if (began_blocked) {
    watch(connection, EPOLLIN, false);
  }
}

void Generator::receive(Connection* connection) {
  char bytes[16 * 1024];
  const ssize_t size = recv(connection->fd, bytes, sizeof bytes, 0);
  if (size < 0 && errno == EAGAIN) return;
  if (size <= 0) return fail(connection);
  connection->in.append(bytes, static_cast<size_t>(size));
  Answer answer;
  switch (read_answer(connection->in, &answer)) {
    case Reading::kIncomplete:
      return;
    case Reading::kBroken:
      return fail(connection);
    case Reading::kComplete:
      break;
  }
  account_->answered(requests_.id_of(connection->number), answer.status, answer.body,
                     microseconds(now_ns() - connection->due_ns));
  // One postback, one answer: more bytes would belong to nothing.
  const bool usable = !answer.close && !options_.close && answer.size == connection->in.size();
  connection->in.clear();
  connection->has_request = false;
  --busy_;
  if (!usable) return disconnect(connection);
  connection->state = State::kFree;
  free_.push_back(static_cast<uint32_t>(connection - connections_.data()));
}

// The connection is of no use, and neither is the postback that is on it.
void Generator::fail(Connection* connection) {
  if (connection->has_request) {
    account_->broke();
    connection->has_request = false;
    --busy_;
  }
  connection->connect_at_ns = now_ns() + kReconnectNs;
  disconnect(connection);
}

void Generator::disconnect(Connection* connection) {
  close(connection->fd);  // Leaves the epoll as well.
  connection->fd = -1;
  connection->in.clear();
  connection->state = options_.close ? State::kFree : State::kAway;
  if (options_.close) free_.push_back(static_cast<uint32_t>(connection - connections_.data()));
}

void Generator::watch(Connection* connection, uint32_t events, bool add) {
  epoll_event event{};
  event.events = events;
  event.data.u32 = static_cast<uint32_t>(connection - connections_.data());
  CHECK(epoll_ctl(epoll_, add ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, connection->fd, &event) == 0);
}

void Generator::look_after_connections(int64_t now) {
  for (Connection& connection : connections_) {
    if (connection.state == State::kAway && now >= connection.connect_at_ns) {
      connect(&connection, now);
    } else if (connection.has_request && now >= connection.give_up_ns) {
      account_->timed_out();
      connection.has_request = false;
      --busy_;
      disconnect(&connection);
    }
  }
}

}  // namespace postback::load
