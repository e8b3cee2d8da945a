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

// Whether a listener could have the port to itself: binds a socket without SO_REUSEPORT, and closes
// it. Returns the port (the free one that was found, for port 0). `error`: the errno of a failure;
// EADDRINUSE when anybody listens there.
base::Result<int> bind_tcp_once(const std::string& host, int port, int* error);

// The port a socket is bound to, or -1 when it is not a bound internet socket.
int bound_port(int fd);

// How many connections wait on a listening socket to be accepted; -1 where the system does not tell
// (TCP_INFO, tcp(7): tcpi_unacked of a listener).
int waiting_count(int listener);

// Sends small answers at once (TCP_NODELAY). Connections from a listen_tcp() socket inherit it and
// need no call; for those from a listener made by somebody else.
void tune_accepted(int fd);

// "127.0.0.1", "::1"; an IPv4 address inside an IPv6 one as IPv4; empty for other families.
std::string address_text(const sockaddr_storage& address);
// "127.0.0.1:8000", "[::1]:8000".
std::string address_text(const std::string& host, int port);

}  // namespace postback::io
