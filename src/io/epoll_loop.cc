#include "io/epoll_loop.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/check.h"

namespace postback::io {
namespace {

using std::chrono::nanoseconds;

static_assert(POLLIN == EPOLLIN && POLLOUT == EPOLLOUT && POLLERR == EPOLLERR &&
              POLLHUP == EPOLLHUP);

// The eventfd's token; no socket has this index.
constexpr uint64_t kWakeToken = UINT64_MAX;

// Each recv starts on a cache line of its own.
constexpr size_t kRecvAlignment = 64;

uint64_t token(SocketId id) {
  return uint64_t{id.index} << 32 | id.generation;
}

}  // namespace

EpollLoop::EpollLoop(const EpollOptions& options)
    : options_(options),
      slots_(kSocketsFirst),
      events_(kEventsPerTurn),
      recv_memory_(new char[options.recv_memory_bytes]) {
  CHECK(options.recv_bytes_max > 0 && options.recv_bytes_max <= options.recv_memory_bytes);
  work_.reserve(kSocketsFirst);
  early_.reserve(kSocketsFirst);
}

std::unique_ptr<EpollLoop> EpollLoop::create(const EpollOptions& options, int* error) {
  std::unique_ptr<EpollLoop> loop(new EpollLoop(options));
  *error = loop->wakeup_.error();
  if (*error != 0) return nullptr;
  loop->epoll_fd_ = epoll_create1(EPOLL_CLOEXEC);
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.u64 = kWakeToken;
  if (loop->epoll_fd_ < 0 ||
      epoll_ctl(loop->epoll_fd_, EPOLL_CTL_ADD, loop->wakeup_.fd(), &event) != 0) {
    *error = errno;
    return nullptr;
  }
  return loop;
}

EpollLoop::~EpollLoop() {
  slots_.for_each([](Slot& slot) {
    if (slot.owned) ::close(slot.fd);
  });
  for (const Completion& completion : early_) {
    if (completion.event == Event::accept && completion.result >= 0) ::close(completion.result);
  }
  if (epoll_fd_ >= 0) ::close(epoll_fd_);
}

SocketId EpollLoop::open(int fd, LoopClient* client, uint64_t context) {
  return add(fd, client, context, true);
}

SocketId EpollLoop::watch(int fd, LoopClient* client, uint64_t context) {
  return add(fd, client, context, false);
}

SocketId EpollLoop::add(int fd, LoopClient* client, uint64_t context, bool owned) {
  CHECK(fd >= 0 && client != nullptr);
  const uint32_t index = slots_.add();
  Slot& slot = slots_[index];
  slot.client = client;
  slot.context = context;
  slot.fd = fd;
  slot.owned = owned;
  return {index, slots_.generation(index)};
}

void EpollLoop::accept(SocketId listener, uint32_t count) {
  Slot* slot = slots_.find(listener.index, listener.generation);
  if (slot == nullptr || count == 0) return;
  slot->accepts_left += std::min(count, UINT32_MAX - slot->accepts_left);
  if (slot->accepting) {
    if (slot->readable) queue_work(listener, *slot);
    return;
  }
  slot->accepting = true;
  if (const int error = register_stream(listener, *slot, EPOLLIN); error != 0) {
    report(&early_, Event::accept, -error, listener, *slot);
    slot->accept_backoff = start_accept_backoff(listener);
  }
}

void EpollLoop::recv(SocketId socket) {
  Slot* slot = slots_.find(socket.index, socket.generation);
  if (slot == nullptr) return;
  CHECK(!slot->receiving);
  if (const int error = register_stream(socket, *slot, EPOLLIN | EPOLLRDHUP); error != 0) {
    report(&early_, Event::recv, -error, socket, *slot);
    return;
  }
  slot->receiving = true;
  if (slot->readable) queue_work(socket, *slot);
}

void EpollLoop::send(SocketId socket, const char* data, size_t size) {
  Slot* slot = slots_.find(socket.index, socket.generation);
  if (slot == nullptr) return;
  CHECK(!slot->sending && size > 0);
  slot->send_data = data;
  slot->send_size = std::min(size, kSendBytesMax);
  if (try_send(socket, *slot, &early_)) return;
  // Registering looks at the present state, so room made in between is not missed. Once there,
  // EPOLLOUT stays: it has an edge only after a send has found no room.
  if (const int error = register_stream(socket, *slot, EPOLLOUT); error != 0) {
    report(&early_, Event::send, -error, socket, *slot);
    return;
  }
  slot->sending = true;
}

void EpollLoop::poll(SocketId socket, uint32_t events) {
  Slot* slot = slots_.find(socket.index, socket.generation);
  if (slot == nullptr) return;
  CHECK(!slot->polling);
  start_poll(socket, *slot, events);
}

void EpollLoop::poll_change(SocketId socket, uint32_t events) {
  Slot* slot = slots_.find(socket.index, socket.generation);
  if (slot == nullptr || (slot->polling && slot->poll_events == events)) return;
  start_poll(socket, *slot, events);
}

void EpollLoop::start_poll(SocketId id, Slot& slot, uint32_t events) {
  slot.poll_events = events;
  const int error = register_events(id, slot);
  slot.polling = error == 0;
  if (error != 0) report(&early_, Event::poll, -error, id, slot);
}

void EpollLoop::close(SocketId socket) {
  Slot* slot = slots_.find(socket.index, socket.generation);
  if (slot == nullptr) return;
  timers_.cancel(slot->accept_backoff);
  if (slot->accepting) {
    accept_what_waits(slot->fd, slot->accepts_left,
                      [&](int fd) { report(&early_, Event::accept, fd, socket, *slot); });
  }
  // Closing a descriptor ends its registration only when it was the last one of its open file
  // (epoll(7)). Streams are; what is polled may be a duplicate, as libpq's sockets are.
  if (slot->registered && (!slot->owned || slot->poll_events != 0)) {
    epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, slot->fd, nullptr);
  }
  if (slot->owned) ::close(slot->fd);
  report(&early_, Event::closed, 0, socket, *slot);
  slots_.remove(socket.index);
}

std::span<const Completion> EpollLoop::turn(nanoseconds wait_max) {
  completions_.clear();
  completions_.swap(early_);
  recv_used_ = 0;
  wait(wait_time(wait_max, !completions_.empty() || !work_.empty()));
  do_work();
  fire_timers([this](SocketId listener) {
    Slot* slot = slots_.find(listener.index, listener.generation);
    if (slot == nullptr) return;
    slot->accept_backoff = TimerId{};
    if (const int error = register_stream(listener, *slot, EPOLLIN); error != 0) {
      report(&completions_, Event::accept, -error, listener, *slot);
      slot->accept_backoff = start_accept_backoff(listener);
    } else if (slot->readable) {
      queue_work(listener, *slot);
    }
  });
  return completions_;
}

void EpollLoop::wait(nanoseconds wait_max) {
  // Rounded up to epoll_wait's milliseconds: late by less than one, never early. (Finer waiting,
  // epoll_pwait2, is missing where this loop is needed most: old kernels and gVisor.)
  const auto timeout_ms = std::chrono::ceil<std::chrono::milliseconds>(wait_max).count();
  const int count = epoll_wait(epoll_fd_, events_.data(), static_cast<int>(events_.size()),
                               static_cast<int>(timeout_ms));
  CHECK(count >= 0 || errno == EINTR);  // A signal: the turn returns early.
  wait_done();
  for (int i = 0; i < count; ++i) ready(events_[static_cast<size_t>(i)]);
}

void EpollLoop::ready(const epoll_event& event) {
  if (event.data.u64 == kWakeToken) return;  // wait_done() has answered it.
  const SocketId id{static_cast<uint32_t>(event.data.u64 >> 32),
                    static_cast<uint32_t>(event.data.u64)};
  Slot* slot = slots_.find(id.index, id.generation);
  if (slot == nullptr) return;
  constexpr uint32_t kEnd = EPOLLRDHUP | EPOLLHUP | EPOLLERR;
  if ((event.events & kEnd) != 0) slot->ended = true;
  if ((event.events & (EPOLLIN | kEnd)) != 0) {
    slot->readable = true;
    if (slot->receiving || slot->accepting) queue_work(id, *slot);
  }
  if (slot->sending && (event.events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) {
    try_send(id, *slot, &completions_);
  }
  if (slot->polling) {
    const uint32_t result = event.events & (slot->poll_events | EPOLLHUP | EPOLLERR);
    if (result == 0) return;
    slot->polling = false;
    report(&completions_, Event::poll, static_cast<int>(result), id, *slot);
  }
}

int EpollLoop::register_stream(SocketId id, Slot& slot, uint32_t events) {
  if ((slot.stream_events & events) == events) return 0;
  slot.stream_events |= events;
  const int error = register_events(id, slot);
  if (error != 0) slot.stream_events &= ~events;
  return error;
}

int EpollLoop::register_events(SocketId id, Slot& slot) {
  epoll_event event{};
  event.events = slot.stream_events | slot.poll_events | EPOLLET;
  event.data.u64 = token(id);
  const int operation = slot.registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
  if (epoll_ctl(epoll_fd_, operation, slot.fd, &event) != 0) return errno;
  slot.registered = true;
  return 0;
}

void EpollLoop::queue_work(SocketId id, Slot& slot) {
  if (slot.queued) return;
  slot.queued = true;
  work_.push_back(id);
}

void EpollLoop::do_work() {
  size_t kept = 0;
  for (size_t i = 0; i < work_.size(); ++i) {
    const SocketId id = work_[i];
    Slot* slot = slots_.find(id.index, id.generation);
    if (slot == nullptr) continue;
    if (try_work(id, *slot)) {
      slot->queued = false;
    } else {
      work_[kept++] = id;
    }
  }
  work_.resize(kept);
}

bool EpollLoop::try_work(SocketId id, Slot& slot) {
  if (!slot.readable) return true;
  if (slot.accepting) return try_accept(id, slot);
  return !slot.receiving || try_recv(id, slot);
}

bool EpollLoop::try_accept(SocketId id, Slot& slot) {
  if (slot.accept_backoff != TimerId{}) return true;  // The timer queues it again.
  for (uint32_t i = 0; i < kAcceptsPerTurn; ++i) {
    if (slot.accepts_left == 0) return true;  // The next accept() queues it again.
    const int fd = accept4(slot.fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      --slot.accepts_left;
      report(&completions_, Event::accept, fd, id, slot);
    } else if (errno == EAGAIN) {
      slot.readable = false;
      return true;
    } else if (!accept_error_is_transient(errno)) {
      report(&completions_, Event::accept, -errno, id, slot);
      slot.accept_backoff = start_accept_backoff(id);
      return true;
    }
  }
  return false;
}

bool EpollLoop::try_recv(SocketId id, Slot& slot) {
  if (options_.recv_memory_bytes - recv_used_ < options_.recv_bytes_max) return false;
  char* data = recv_memory_.get() + recv_used_;
  ssize_t result;
  do {
    result = ::recv(slot.fd, data, options_.recv_bytes_max, MSG_DONTWAIT);
  } while (result < 0 && errno == EINTR);
  if (result < 0 && errno == EAGAIN) {
    slot.readable = false;
    return true;
  }
  slot.receiving = false;
  if (result < 0) {
    report(&completions_, Event::recv, -errno, id, slot);
    return true;
  }
  // Less than there was room for: drained (epoll(7)); what comes from now on makes an edge.
  if (result < options_.recv_bytes_max && !slot.ended) slot.readable = false;
  const size_t used = (static_cast<size_t>(result) + kRecvAlignment - 1) & ~(kRecvAlignment - 1);
  recv_used_ = std::min(recv_used_ + used, options_.recv_memory_bytes);
  report(&completions_, Event::recv, static_cast<int>(result), id, slot, data);
  return true;
}

bool EpollLoop::try_send(SocketId id, Slot& slot, std::vector<Completion>* out) {
  ssize_t result;
  do {
    result = ::send(slot.fd, slot.send_data, slot.send_size, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (result < 0 && errno == EINTR);
  if (result < 0 && errno == EAGAIN) return false;
  slot.sending = false;
  report(out, Event::send, result < 0 ? -errno : static_cast<int>(result), id, slot);
  return true;
}

void EpollLoop::report(std::vector<Completion>* out, Event event, int result, SocketId id,
                       const Slot& slot, const char* data) {
  out->push_back({.event = event,
                  .result = result,
                  .socket = id,
                  .timer = {},
                  .data = data,
                  .client = slot.client,
                  .context = slot.context});
}

}  // namespace postback::io
