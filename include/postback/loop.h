// The event loop seam. One loop per thread; two real backends, io_uring and epoll (src/io), chosen
// once at start. A loop reports what happened as a queue of completions: turn() returns them and
// the caller delivers each to its client, so no code runs in the middle of the loop's own work.
//
// Thread: every function is called on the thread that created the loop, except wake().
// Handles: a socket is named by {index, generation}; a stale handle is ignored, never misdirected.
// Closing: close() cancels what is outstanding; exactly one `closed` completion follows, as the
// last one of that socket. Between close() and `closed` a client ignores other completions (they
// may stand already in the span that turn() returned), but for `accept`: a listener's close() first
// hands out the connections that wait in its queue, which would be reset otherwise.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace postback {

struct SocketId {
  uint32_t index = UINT32_MAX;
  uint32_t generation = 0;
  bool operator==(const SocketId&) const = default;
};

struct TimerId {
  uint32_t index = UINT32_MAX;
  uint32_t generation = 0;
  bool operator==(const TimerId&) const = default;
};

enum class Event : uint8_t {
  accept,  // result: a new descriptor, non-blocking and close-on-exec, now owned by the client;
           // or -errno (told at most once per back-off of 100 ms; accepting goes on by itself)
  recv,    // result: bytes at `data`, 0 at end of stream, or -errno
  send,    // result: bytes taken (may be fewer than asked: send the rest), or -errno
  poll,    // result: the ready events (POLLIN, POLLOUT, POLLERR, POLLHUP), or -errno
  timer,   // result: 0
  closed,  // result: 0; the last completion of its socket
};

class LoopClient;

struct Completion {
  Event event;
  int32_t result = 0;
  SocketId socket;             // All but timer.
  TimerId timer;               // timer only.
  const char* data = nullptr;  // recv only: loop memory, valid until the next turn().
  LoopClient* client = nullptr;
  uint64_t context = 0;  // As given to open(), watch() or timer_start().
};

class LoopClient {
 public:
  virtual void complete(const Completion& completion) = 0;

 protected:
  ~LoopClient() = default;
};

class Loop {
 public:
  virtual ~Loop() = default;

  virtual const char* name() const = 0;  // "io_uring" or "epoll".

  // Takes ownership of `fd` (a non-blocking socket); close() closes it. The client must outlive
  // the `closed` completion. The number of sockets is bounded by descriptors only.
  virtual SocketId open(int fd, LoopClient* client, uint64_t context) = 0;
  // The same for a descriptor that belongs to somebody else (libpq): close() leaves it open. The
  // owner may close the descriptor only after the `closed` completion.
  virtual SocketId watch(int fd, LoopClient* client, uint64_t context) = 0;

  // Accepts `count` more connections on a listening socket, beside those of earlier calls that are
  // still to come: an `accept` completion for each. Others wait in the kernel's queue, so that a
  // client can keep descriptors for other uses. Errors do not count.
  virtual void accept(SocketId listener, uint32_t count) = 0;
  // Receives once: one `recv` completion. At most one outstanding per socket. Not receiving again
  // is the back-pressure: bytes then stay in the kernel.
  virtual void recv(SocketId socket) = 0;
  // Sends once: one `send` completion, possibly short. At most one outstanding per socket.
  // [data, data+size) must stay unchanged until it; size > 0. Never raises SIGPIPE.
  virtual void send(SocketId socket, const char* data, size_t size) = 0;
  // Waits once for readiness: one `poll` completion. At most one outstanding per socket.
  // events: POLLIN and POLLOUT. poll_change() replaces the events of the outstanding poll
  // (and starts one if none is outstanding); still one completion.
  virtual void poll(SocketId socket, uint32_t events) = 0;
  virtual void poll_change(SocketId socket, uint32_t events) = 0;
  virtual void close(SocketId socket) = 0;

  // One `timer` completion at or after now_ns() + delay; never early. Cancelling a timer that
  // has fired or was cancelled does nothing; after timer_cancel() no completion of it is returned
  // by later turns.
  virtual TimerId timer_start(std::chrono::nanoseconds delay, LoopClient* client,
                              uint64_t context) = 0;
  virtual void timer_cancel(TimerId timer) = 0;

  // Any thread: makes the current or the next turn() return without waiting further. Many wakes
  // before that count as one.
  virtual void wake() = 0;

  // Submits what was asked for, waits until something completed, a wake() came, a timer is due or
  // wait_max has passed (0: does not wait), and returns what completed, perhaps nothing: a signal
  // ends the wait early too. The span and the recv data in it are valid until the next turn().
  virtual std::span<const Completion> turn(std::chrono::nanoseconds wait_max) = 0;

  // Monotonic time, read at the end of the last wait; nanoseconds.
  virtual uint64_t now_ns() const = 0;
};

}  // namespace postback
