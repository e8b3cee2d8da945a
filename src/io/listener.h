// Listening TCP sockets. Cold path; blocking in nothing (addresses are literal, no names).
#pragma once

#include <sys/socket.h>

#include <string>

#include "base/status.h"

namespace postback::io {

// A listening socket on `host`, an IPv4 or IPv6 address ("127.0.0.1", "0.0.0.0", "::1"; "::" takes
// IPv4 too), and `port`, 0 to 65535 (0: any free one; see bound_port()). The descriptor is
// non-blocking and close-on-exec, belongs to the caller, and its connections have TCP_NODELAY.
// With `reuse_port` several sockets of this user may listen on the same port (SO_REUSEPORT), and
// the kernel spreads connections over them.
// An error names host:port, the cause and the remedy.
base::Result<int> listen_tcp(const std::string& host, int port, bool reuse_port);

// The port a socket is bound to, or -1 when it is not a bound internet socket.
int bound_port(int fd);

// Sends small answers at once (TCP_NODELAY). Connections from a listen_tcp() socket inherit it and
// need no call; for those from a listener made by somebody else.
void tune_accepted(int fd);

// "127.0.0.1", "::1"; an IPv4 address inside an IPv6 one as IPv4; empty for other families.
std::string address_text(const sockaddr_storage& address);

}  // namespace postback::io
