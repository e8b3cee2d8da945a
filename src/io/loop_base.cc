#include "io/loop_base.h"

#include <sys/socket.h>
#include <time.h>

#include <algorithm>
#include <cerrno>

#include "base/check.h"
#include "io/loop_limits.h"

namespace postback::io {
namespace {

using std::chrono::nanoseconds;

// Completions that a busy turn returns without growing the list.
constexpr size_t kCompletionsFirst = 1024;

uint64_t monotonic_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

}  // namespace

LoopBase::LoopBase() : now_ns_(monotonic_ns()) {
  completions_.reserve(kCompletionsFirst);
}

TimerId LoopBase::timer_start(nanoseconds delay, LoopClient* client, uint64_t context) {
  CHECK(client != nullptr);
  const nanoseconds bounded = std::clamp<nanoseconds>(delay, nanoseconds::zero(), kDelayMax);
  return timers_.start(now_ns_ + static_cast<uint64_t>(bounded.count()), client, context);
}

nanoseconds LoopBase::wait_time(nanoseconds wait_max, bool busy) const {
  if (busy || wait_max <= nanoseconds::zero() || wakeup_.pending()) return nanoseconds::zero();
  const nanoseconds wait = std::min<nanoseconds>(wait_max, kWaitMax);
  if (timers_.count() == 0) return wait;
  // now_ns_ is from the end of the last wait; the work since then counts.
  const uint64_t now = monotonic_ns();
  if (timers_.deadline_ns() <= now) return nanoseconds::zero();
  const uint64_t timer_wait = timers_.deadline_ns() - now;
  return std::min(wait, nanoseconds(static_cast<int64_t>(timer_wait)));
}

void LoopBase::wait_done() {
  now_ns_ = monotonic_ns();
  wakeup_.clear();
}

TimerId LoopBase::start_accept_backoff(SocketId listener) {
  const nanoseconds delay = kAcceptBackoff;
  return timers_.start(now_ns_ + static_cast<uint64_t>(delay.count()), nullptr,
                       uint64_t{listener.index} << 32 | listener.generation);
}

int accept_now(int listener) {
  int fd;
  do {
    fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  } while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
  return fd;
}

bool accept_error_is_transient(int error) {
  switch (error) {
    case EAGAIN:
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ETIMEDOUT:
      return true;
    default:
      return false;
  }
}

}  // namespace postback::io
