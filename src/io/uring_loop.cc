#include "io/uring_loop.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/check.h"

namespace postback::io {
namespace {

using std::chrono::nanoseconds;

constexpr uint32_t kRingFlags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                                IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE;
constexpr uint32_t kPollResults = POLLIN | POLLOUT | POLLERR | POLLHUP;

}  // namespace

UringLoop::UringLoop(const UringOptions& options)
    : buffers_(options.buffers, options.buffer_bytes), slots_(kSocketsFirst) {}

std::unique_ptr<UringLoop> UringLoop::create(const UringOptions& options, UringRefusal* refusal) {
  auto refuse = [refusal](const char* step, int error) {
    *refusal = {step, error};
    return nullptr;
  };
  std::unique_ptr<UringLoop> loop(new UringLoop(options));
  if (loop->wakeup_.error() != 0) return refuse("eventfd", loop->wakeup_.error());
  if (const int result = loop->buffers_.allocate(); result != 0) {
    return refuse("mmap of the receive buffers", -result);
  }
  io_uring_params params{};
  params.flags = kRingFlags;
  params.cq_entries = options.submissions * kCompletionsPerSubmission;
  if (const int result = io_uring_queue_init_params(options.submissions, &loop->ring_, &params);
      result < 0) {
    return refuse("io_uring_setup", -result);
  }
  loop->ring_made_ = true;
  if (const int result = loop->buffers_.register_with(&loop->ring_); result < 0) {
    return refuse("io_uring_register of the receive buffers", -result);
  }
  if (const int result = loop->probe(); result < 0) return refuse("io_uring_enter", -result);
  loop->start_wake_poll();
  return loop;
}

// A no-op goes through the ring: setup alone may succeed where entering is forbidden.
int UringLoop::probe() {
  io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
  io_uring_prep_nop(sqe);
  sqe->user_data = user_data(Op::ignored, 0, 0);
  const int submitted = io_uring_submit_and_wait(&ring_, 1);
  if (submitted < 0) return submitted;
  io_uring_cqe* cqe = nullptr;
  const int found = io_uring_peek_cqe(&ring_, &cqe);
  if (found < 0) return found;
  const int result = cqe->res;
  io_uring_cqe_seen(&ring_, cqe);
  return result;
}

UringLoop::~UringLoop() {
  if (!ring_made_) return;
  // What was done but never reported: connections that were accepted belong to nobody else, and
  // a descriptor that is closed must not be closed again.
  uint32_t head;
  io_uring_cqe* cqe;
  io_uring_for_each_cqe(&ring_, head, cqe) {
    const Op op = op_of(*cqe);
    if (op == Op::accept && cqe->res >= 0) ::close(cqe->res);
    if (op == Op::close) slots_[socket_of(*cqe).index].owned = false;
  }
  io_uring_queue_exit(&ring_);
  slots_.for_each([](Slot& slot) {
    if (slot.owned) ::close(slot.fd);
  });
  for (const Completion& accepted : early_) ::close(accepted.result);
}

SocketId UringLoop::open(int fd, LoopClient* client, uint64_t context) {
  return add(fd, client, context, true);
}

SocketId UringLoop::watch(int fd, LoopClient* client, uint64_t context) {
  return add(fd, client, context, false);
}

SocketId UringLoop::add(int fd, LoopClient* client, uint64_t context, bool owned) {
  CHECK(fd >= 0 && client != nullptr);
  const uint32_t index = slots_.add();
  Slot& slot = slots_[index];
  slot.client = client;
  slot.context = context;
  slot.fd = fd;
  slot.owned = owned;
  return {index, slots_.generation(index)};
}

UringLoop::Slot* UringLoop::find(SocketId socket) {
  Slot* slot = slots_.find(socket.index, socket.generation);
  return slot == nullptr || slot->closing ? nullptr : slot;
}

void UringLoop::accept(SocketId listener, uint32_t count) {
  Slot* slot = find(listener);
  if (slot == nullptr || count == 0) return;
  slot->listening = true;
  slot->accepts_left += std::min(count, UINT32_MAX - slot->accepts_left);
  if ((slot->outstanding & bit(Op::accept)) == 0 && slot->accept_backoff == TimerId{}) {
    start_accept(listener, *slot);
  }
}

void UringLoop::recv(SocketId socket) {
  Slot* slot = find(socket);
  if (slot == nullptr) return;
  CHECK((slot->outstanding & bit(Op::recv)) == 0 && !slot->recv_starved);
  start_recv(socket, *slot);
}

void UringLoop::send(SocketId socket, const char* data, size_t size) {
  Slot* slot = find(socket);
  if (slot == nullptr) return;
  CHECK((slot->outstanding & bit(Op::send)) == 0 && size > 0);
  io_uring_sqe* sqe = next_sqe();
  io_uring_prep_send(sqe, slot->fd, data, std::min(size, kSendBytesMax), MSG_NOSIGNAL);
  start(sqe, Op::send, socket, *slot);
}

void UringLoop::poll(SocketId socket, uint32_t events) {
  Slot* slot = find(socket);
  if (slot == nullptr) return;
  CHECK((slot->outstanding & bit(Op::poll)) == 0);
  slot->poll_events = events;
  start_poll(socket, *slot);
}

void UringLoop::poll_change(SocketId socket, uint32_t events) {
  Slot* slot = find(socket);
  if (slot == nullptr) return;
  const bool outstanding = (slot->outstanding & bit(Op::poll)) != 0;
  if (outstanding && slot->poll_events == events) return;
  slot->poll_events = events;
  if (!outstanding) {
    start_poll(socket, *slot);
    return;
  }
  // Whether the update finds the poll or comes too late is seen in poll_done(), which starts the
  // poll again when it ended with events that are no longer asked for.
  io_uring_sqe* sqe = next_sqe();
  io_uring_prep_poll_update(sqe, user_data(Op::poll, socket.index, socket.generation), 0, events,
                            IORING_POLL_UPDATE_EVENTS);
  sqe->user_data = user_data(Op::ignored, 0, 0);
}

void UringLoop::close(SocketId socket) {
  Slot* slot = find(socket);
  if (slot == nullptr) return;
  slot->closing = true;
  slot->recv_starved = false;
  timers_.cancel(slot->accept_backoff);
  if (slot->outstanding == 0) {
    start_close(socket, *slot);
    return;
  }
  for (const Op op : {Op::accept, Op::recv, Op::send, Op::poll}) {
    if ((slot->outstanding & bit(op)) != 0) cancel(op, socket);
  }
}

void UringLoop::cancel(Op op, SocketId id) {
  io_uring_sqe* sqe = next_sqe();
  io_uring_prep_cancel64(sqe, user_data(op, id.index, id.generation), 0);
  sqe->user_data = user_data(Op::ignored, 0, 0);
}

std::span<const Completion> UringLoop::turn(nanoseconds wait_max) {
  completions_.clear();
  completions_.swap(early_);
  buffers_.give_back();
  submit_deferred();
  restart_starved();
  enter(wait_time(wait_max, !deferred_.empty() || !starved_.empty() || !completions_.empty()));
  wait_done();
  reap();
  fire_timers([this](SocketId listener) {
    Slot* slot = find(listener);
    if (slot == nullptr) return;
    slot->accept_backoff = TimerId{};
    start_accept(listener, *slot);
  });
  return completions_;
}

// Room for one more submission. Good until the next call.
io_uring_sqe* UringLoop::next_sqe() {
  if (deferred_.empty()) {
    if (io_uring_sqe* sqe = io_uring_get_sqe(&ring_)) return sqe;
    // Full: submit and go on. An error here is met again, and judged, in enter().
    io_uring_submit(&ring_);
    if (io_uring_sqe* sqe = io_uring_get_sqe(&ring_)) return sqe;
  }
  return &deferred_.emplace_back();
}

void UringLoop::start(io_uring_sqe* sqe, Op op, SocketId id, Slot& slot) {
  sqe->user_data = user_data(op, id.index, id.generation);
  slot.outstanding |= bit(op);
}

// A multishot accept takes all that waits, as far as the completion queue has room. So it may only
// be used while more than that may be accepted; near the bound, each accept is asked for.
uint32_t UringLoop::greedy_accepts_min() const {
  return 2 * ring_.cq.ring_entries;
}

void UringLoop::start_accept(SocketId id, Slot& slot) {
  if (slot.accepts_left == 0) return;
  io_uring_sqe* sqe = next_sqe();
  slot.accept_cancelled = false;
  if (slot.accepts_left >= greedy_accepts_min()) {
    io_uring_prep_multishot_accept(sqe, slot.fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  } else {
    io_uring_prep_accept(sqe, slot.fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  }
  start(sqe, Op::accept, id, slot);
}

void UringLoop::start_recv(SocketId id, Slot& slot) {
  io_uring_sqe* sqe = next_sqe();
  io_uring_prep_recv(sqe, slot.fd, nullptr, buffers_.buffer_bytes(), 0);
  sqe->flags |= IOSQE_BUFFER_SELECT;
  sqe->buf_group = UringBuffers::kGroup;
  start(sqe, Op::recv, id, slot);
}

void UringLoop::start_poll(SocketId id, Slot& slot) {
  io_uring_sqe* sqe = next_sqe();
  io_uring_prep_poll_add(sqe, slot.fd, slot.poll_events);
  start(sqe, Op::poll, id, slot);
}

void UringLoop::start_close(SocketId id, Slot& slot) {
  if (slot.listening && slot.owned) close_listener(id, slot);
  io_uring_sqe* sqe = next_sqe();
  if (slot.owned) {
    io_uring_prep_close(sqe, slot.fd);
  } else {
    io_uring_prep_nop(sqe);
  }
  start(sqe, Op::close, id, slot);
}

// At once and not through the ring: a connection that came in between would be reset.
void UringLoop::close_listener(SocketId id, Slot& slot) {
  accept_what_waits(slot.fd, slot.accepts_left,
                    [&](int fd) { early_.push_back(completion_of(Event::accept, fd, id, slot)); });
  ::close(slot.fd);
  slot.owned = false;
}

// Multishot: one completion per write to the eventfd, without a submission or a read each time.
void UringLoop::start_wake_poll() {
  io_uring_sqe* sqe = next_sqe();
  io_uring_prep_poll_multishot(sqe, wakeup_.fd(), POLLIN);
  sqe->user_data = user_data(Op::wake, 0, 0);
}

void UringLoop::submit_deferred() {
  size_t moved = 0;
  while (moved < deferred_.size()) {
    io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
    if (sqe == nullptr) {
      io_uring_submit(&ring_);
      sqe = io_uring_get_sqe(&ring_);
      if (sqe == nullptr) break;
    }
    *sqe = deferred_[moved++];
  }
  deferred_.erase(deferred_.begin(), deferred_.begin() + static_cast<ptrdiff_t>(moved));
}

// No more recvs than there are buffers: the others would only be turned away again.
void UringLoop::restart_starved() {
  const size_t count = std::min<size_t>(starved_.size(), buffers_.count());
  for (size_t i = 0; i < count; ++i) {
    const SocketId id = starved_[i];
    Slot* slot = find(id);
    if (slot == nullptr || !slot->recv_starved) continue;
    slot->recv_starved = false;
    start_recv(id, *slot);
  }
  starved_.erase(starved_.begin(), starved_.begin() + static_cast<ptrdiff_t>(count));
}

void UringLoop::enter(nanoseconds wait) {
  int result;
  if (wait == nanoseconds::zero() || io_uring_cq_ready(&ring_) > 0) {
    result = io_uring_submit_and_get_events(&ring_);
  } else {
    constexpr int64_t kSecond = 1'000'000'000;
    __kernel_timespec timeout{wait.count() / kSecond, wait.count() % kSecond};
    io_uring_cqe* cqe = nullptr;
    result = io_uring_submit_and_wait_timeout(&ring_, &cqe, 1, &timeout, nullptr);
  }
  if (result >= 0) return;
  switch (-result) {
    case ETIME:   // Nothing came in time.
    case EINTR:   // A signal: the turn returns early.
    case EAGAIN:  // The kernel is short of memory or its completion queue is full: what was
    case EBUSY:   // not taken stays in the submission queue, and the next turn offers it again.
      return;
    default:
      // EBADR: the kernel lost completions. All others are ours: a wrong thread, a closed ring.
      CHECK(result >= 0);
  }
}

void UringLoop::reap() {
  // Only what is there now: handling may submit, and so bring more, for the next turn.
  const uint32_t count = io_uring_cq_ready(&ring_);
  uint32_t seen = 0;
  uint32_t head;
  io_uring_cqe* cqe;
  io_uring_for_each_cqe(&ring_, head, cqe) {
    if (seen == count) break;
    ++seen;
    done(*cqe);
  }
  io_uring_cq_advance(&ring_, seen);
}

void UringLoop::done(const io_uring_cqe& cqe) {
  const Op op = op_of(cqe);
  const bool more = (cqe.flags & IORING_CQE_F_MORE) != 0;
  if (op == Op::ignored) return;
  if (op == Op::wake) {
    if (!more) start_wake_poll();
    return;
  }
  CHECK(op < Op::kCount);
  const SocketId id = socket_of(cqe);
  Slot* slot = slots_.find(id.index, id.generation);
  CHECK(slot != nullptr && (slot->outstanding & bit(op)) != 0);
  if (!more) slot->outstanding &= static_cast<uint8_t>(~bit(op));
  switch (op) {
    case Op::accept:
      accept_done(id, *slot, cqe.res, more);
      break;
    case Op::recv:
      recv_done(id, *slot, cqe.res, cqe.flags);
      break;
    case Op::send:
      if (!slot->closing) report(Event::send, cqe.res, id, *slot);
      break;
    case Op::poll:
      poll_done(id, *slot, cqe.res);
      break;
    case Op::close:
      close_done(id, *slot);
      return;
    case Op::kCount:
    case Op::ignored:
    case Op::wake:
      break;
  }
  if (slot->closing && slot->outstanding == 0) start_close(id, *slot);
}

void UringLoop::accept_done(SocketId id, Slot& slot, int result, bool more) {
  if (result >= 0) {
    if (slot.accepts_left > 0) --slot.accepts_left;
    report(Event::accept, result, id, slot);
    if (slot.closing) return;
    if (more && slot.accepts_left < greedy_accepts_min() && !slot.accept_cancelled) {
      slot.accept_cancelled = true;
      cancel(Op::accept, id);
    }
  } else if (slot.closing) {
    return;
  } else if (!accept_error_is_transient(-result) && result != -ECANCELED) {
    report(Event::accept, result, id, slot);
    if (!more) slot.accept_backoff = start_accept_backoff(id);
    return;
  }
  if (!more) start_accept(id, slot);
}

void UringLoop::recv_done(SocketId id, Slot& slot, int result, uint32_t flags) {
  const char* data = nullptr;
  if ((flags & IORING_CQE_F_BUFFER) != 0) {
    data = buffers_.take(static_cast<uint16_t>(flags >> IORING_CQE_BUFFER_SHIFT));
  }
  if (slot.closing) return;
  if (result == -ENOBUFS) {
    slot.recv_starved = true;
    starved_.push_back(id);
    return;
  }
  report(Event::recv, result, id, slot, data);
}

void UringLoop::poll_done(SocketId id, Slot& slot, int result) {
  if (slot.closing) return;
  if (result >= 0) {
    result &= static_cast<int>((slot.poll_events & kPollResults) | POLLERR | POLLHUP);
    if (result == 0) {
      start_poll(id, slot);
      return;
    }
  }
  report(Event::poll, result, id, slot);
}

void UringLoop::close_done(SocketId id, Slot& slot) {
  report(Event::closed, 0, id, slot);
  slots_.remove(id.index);
}

Completion UringLoop::completion_of(Event event, int result, SocketId id, const Slot& slot,
                                    const char* data) {
  return {.event = event,
          .result = result,
          .socket = id,
          .timer = {},
          .data = data,
          .client = slot.client,
          .context = slot.context};
}

void UringLoop::report(Event event, int result, SocketId id, const Slot& slot, const char* data) {
  completions_.push_back(completion_of(event, result, id, slot, data));
}

}  // namespace postback::io
