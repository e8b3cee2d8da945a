// The event loop over epoll (epoll(7)); never makes an io_uring system call.
//
// Sockets are registered edge-triggered, at their first operation and for reading only; writing is
// added when a send first found no room. An edge sets a flag (`readable`), and the flag falls when
// a system call finds the socket drained. So in steady state a request costs epoll_wait's share,
// one recv and one send, and no epoll_ctl. poll() is the exception: it registers anew each time,
// which makes the kernel look at the present state.
//
// send() tries at once, in the call; its completion is returned by the next turn. recv() is tried
// inside turn(), into memory of that turn; when the memory is used up the rest waits in `work_`
// for the next turn.
#pragma once

#include <sys/epoll.h>

#include <memory>
#include <vector>

#include "io/loop_base.h"
#include "io/loop_limits.h"
#include "io/slab.h"

namespace postback::io {

struct EpollOptions {
  size_t recv_memory_bytes = size_t{kRecvBuffers} * kRecvBytesMax;  // Per turn.
  uint32_t recv_bytes_max = kRecvBytesMax;                          // At most the above.
};

class EpollLoop final : public LoopBase {
 public:
  // Null, with `error` set to the errno, when the system refuses a descriptor.
  static std::unique_ptr<EpollLoop> create(const EpollOptions& options, int* error);
  ~EpollLoop() override;

  const char* name() const override { return "epoll"; }
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
  struct Slot {
    LoopClient* client = nullptr;
    uint64_t context = 0;
    const char* send_data = nullptr;  // What waits for room.
    size_t send_size = 0;
    int fd = -1;
    uint32_t stream_events = 0;  // What recv, accept and send need to be registered.
    uint32_t poll_events = 0;    // What the outstanding or the last poll asks for.
    TimerId accept_backoff;      // Of the back-off that is running, if any.
    uint32_t accepts_left = 0;   // Connections that may still be accepted.
    bool owned = false;
    bool registered = false;
    bool queued = false;     // Stands in work_.
    bool readable = false;   // An edge came and the socket has not been found drained since.
    bool ended = false;      // Hang-up or error: stays readable, as no further edge will come.
    bool accepting = false;  // accept() was called.
    bool receiving = false;  // A recv is outstanding.
    bool sending = false;    // A send is outstanding and waits for room.
    bool polling = false;    // A poll is outstanding.
  };

  explicit EpollLoop(const EpollOptions& options);

  SocketId add(int fd, LoopClient* client, uint64_t context, bool owned);
  // Both return 0 or the errno of epoll_ctl().
  int register_stream(SocketId id, Slot& slot, uint32_t events);
  int register_events(SocketId id, Slot& slot);
  void start_poll(SocketId id, Slot& slot, uint32_t events);

  void wait(std::chrono::nanoseconds wait_max);
  void ready(const epoll_event& event);
  void queue_work(SocketId id, Slot& slot);
  void do_work();
  // These return false when something is left for the next turn.
  bool try_work(SocketId id, Slot& slot);
  bool try_accept(SocketId id, Slot& slot);
  bool try_recv(SocketId id, Slot& slot);
  // Returns false when there is no room.
  bool try_send(SocketId id, Slot& slot, std::vector<Completion>* out);
  static void report(std::vector<Completion>* out, Event event, int result, SocketId id,
                     const Slot& slot, const char* data = nullptr);

  const EpollOptions options_;
  int epoll_fd_ = -1;
  Slab<Slot> slots_;
  std::vector<epoll_event> events_;
  // Sockets on which something can be done without waiting, first come first served.
  std::vector<SocketId> work_;
  // Completed between turns; the next turn returns them first.
  std::vector<Completion> early_;
  std::unique_ptr<char[]> recv_memory_;
  size_t recv_used_ = 0;
};

}  // namespace postback::io
