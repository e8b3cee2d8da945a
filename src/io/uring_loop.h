// The event loop over io_uring (io_uring(7), io_uring_enter(2)); needs Linux 6.1.
//
// One ring per loop: SINGLE_ISSUER, so only the thread that made the loop may use it;
// DEFER_TASKRUN, so completions are made only inside turn(); SUBMIT_ALL, so one refused operation
// does not hold up those behind it. A turn is one io_uring_enter(): it submits what was asked for
// since the last one, waits, and collects. Each operation is one submission (SQE) and, accept
// excepted, one completion (CQE).
//
// user_data of a submission: operation (4 bits) | slot index (28 bits) | slot generation (32
// bits). A slot is given back only after the CQE of every operation on it, so a CQE that names a
// slot always finds it.
//
// Closing a socket: close() cancels each operation the kernel still holds, by its user_data (to
// cancel by descriptor would search every armed operation of the ring); when the last of their
// CQEs is in, the descriptor is closed by one more operation, whose CQE is `closed`.
#pragma once

#include <liburing.h>

#include <memory>
#include <vector>

#include "io/loop_base.h"
#include "io/loop_limits.h"
#include "io/slab.h"
#include "io/uring_buffers.h"

namespace postback::io {

struct UringOptions {
  uint32_t submissions = kSubmissions;  // Submission queue, a power of two.
  uint32_t buffers = kRecvBuffers;      // A power of two.
  uint32_t buffer_bytes = kRecvBytesMax;
};

// Why there is no ring: the step that failed, and its errno.
struct UringRefusal {
  const char* step = "";
  int error = 0;
};

class UringLoop final : public LoopBase {
 public:
  // Makes the ring with everything the loop needs and sees a no-op complete. Null, with
  // `refusal` filled in, when a step fails. The caller's thread becomes the loop's thread.
  static std::unique_ptr<UringLoop> create(const UringOptions& options, UringRefusal* refusal);
  ~UringLoop() override;

  const char* name() const override { return "io_uring"; }
  SocketId open(int fd, LoopClient* client, uint64_t context) override;
  SocketId watch(int fd, LoopClient* client, uint64_t context) override;
  void accept(SocketId listener, uint32_t count) override;
  void recv(SocketId socket) override;
  void send(SocketId socket, const char* data, size_t size) override;
  void poll(SocketId socket, uint32_t events) override;
  void poll_change(SocketId socket, uint32_t events) override;
  void close(SocketId socket) override;
  std::span<const Completion> turn(std::chrono::nanoseconds wait_max) override;

 private:
  // Those below kCount can be outstanding on a socket, one of each; their bit in
  // Slot::outstanding says so.
  enum class Op : uint8_t { accept, recv, send, poll, close, kCount, ignored, wake };

  struct Slot {
    LoopClient* client = nullptr;
    uint64_t context = 0;
    int fd = -1;
    uint32_t poll_events = 0;
    TimerId accept_backoff;     // Of the back-off that is running, if any.
    uint32_t accepts_left = 0;  // Connections that may still be accepted.
    uint8_t outstanding = 0;    // A bit per Op: its CQE has not come.
    bool owned = false;
    bool closing = false;
    bool recv_starved = false;      // Found no buffer; waits in starved_.
    bool listening = false;         // accept() was called.
    bool accept_cancelled = false;  // The multishot accept is being ended: few may still come.
  };

  explicit UringLoop(const UringOptions& options);
  int probe();

  SocketId add(int fd, LoopClient* client, uint64_t context, bool owned);
  Slot* find(SocketId socket);  // Null also for a socket that is being closed.

  static uint64_t user_data(Op op, uint32_t index, uint32_t generation) {
    return uint64_t{static_cast<uint8_t>(op)} << 60 | uint64_t{index} << 32 | generation;
  }
  static Op op_of(const io_uring_cqe& cqe) { return static_cast<Op>(cqe.user_data >> 60); }
  static SocketId socket_of(const io_uring_cqe& cqe) {
    return {static_cast<uint32_t>(cqe.user_data >> 32) & (Slab<Slot>::kSlotsMax - 1),
            static_cast<uint32_t>(cqe.user_data)};
  }
  static uint8_t bit(Op op) { return static_cast<uint8_t>(1u << static_cast<uint8_t>(op)); }

  io_uring_sqe* next_sqe();
  // Stamps `sqe`, already prepared, as operation `op` on the socket.
  void start(io_uring_sqe* sqe, Op op, SocketId id, Slot& slot);
  void start_accept(SocketId id, Slot& slot);
  uint32_t greedy_accepts_min() const;
  void cancel(Op op, SocketId id);
  void close_listener(SocketId id, Slot& slot);
  void start_recv(SocketId id, Slot& slot);
  void start_poll(SocketId id, Slot& slot);
  void start_close(SocketId id, Slot& slot);
  void start_wake_poll();

  void submit_deferred();
  void restart_starved();
  void enter(std::chrono::nanoseconds wait);
  void reap();
  void done(const io_uring_cqe& cqe);
  void accept_done(SocketId id, Slot& slot, int result, bool more);
  void recv_done(SocketId id, Slot& slot, int result, uint32_t flags);
  void poll_done(SocketId id, Slot& slot, int result);
  void close_done(SocketId id, Slot& slot);
  static Completion completion_of(Event event, int result, SocketId id, const Slot& slot,
                                  const char* data = nullptr);
  void report(Event event, int result, SocketId id, const Slot& slot, const char* data = nullptr);

  // Declared before ring_: the ring is torn down (in the destructor) before its buffers.
  UringBuffers buffers_;
  io_uring ring_{};
  bool ring_made_ = false;
  Slab<Slot> slots_;
  // Submissions for which the queue had no room even after a submit (the kernel was short of
  // memory); they go first in the next turn.
  std::vector<io_uring_sqe> deferred_;
  // Accepted while a listener was closed, which may be between turns; the next turn returns them
  // first.
  std::vector<Completion> early_;
  // Sockets whose recv found no buffer, first come first served.
  std::vector<SocketId> starved_;
};

}  // namespace postback::io
