// Takes the port at the start. A server that is started again at once after `kill -9` meets the
// sockets of its predecessor, which the kernel has not closed yet: the bind is tried again for some
// seconds, and the operator sees a start instead of "Address already in use".
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/status.h"

namespace postback::io {

// A dead process's io_uring is closed by a worker of the kernel; on a loaded machine that took up
// to a second. systemd and operators wait longer than this.
constexpr std::chrono::milliseconds kPortPatience{5000};

struct ClaimedPort {
  int port = 0;
  std::vector<int> listeners;  // As many as were asked for; the caller's.
};

// `count` listeners (SO_REUSEPORT, see listener.h) on one port. While the port is taken it is tried
// again for `patience`, unless a living program is known to listen there: that is told at once.
// Two servers never share a port by mistake, although SO_REUSEPORT would let them. Blocks.
base::Result<ClaimedPort> claim_port(const std::string& host, int port, int count,
                                     std::chrono::milliseconds patience = kPortPatience);

}  // namespace postback::io
