// Finds out which living process listens on a TCP port, from /proc (proc(5)). Cold path: it reads
// the descriptors of all processes that this one may look into.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

namespace postback::io {

struct PortOwner {
  pid_t pid = 0;
  std::string program;  // As `ps` shows it.
};

// Nothing is returned when no process is found: the socket belongs to a process that this one may
// not look into (another user, another container), or to one that is dying. A process that was
// killed counts as dying from the moment the signal was sent: the kernel closes its sockets a
// while after that, those of an io_uring even after the process is gone.
std::optional<PortOwner> listening_process(int port);

}  // namespace postback::io
