#include "io/listener.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "base/json_writer.h"

namespace postback::io {
namespace {

// Connections that may wait for accept(). The kernel cuts it to net.core.somaxconn, which is
// 4096 since Linux 5.4.
constexpr int kBacklog = 4096;

const char* remedy(int error) {
  switch (error) {
    case EADDRINUSE:
      return "another program listens there; stop it or choose another PORT";
    case EACCES:
    case EPERM:
      return "ports below 1024 need root or CAP_NET_BIND_SERVICE; choose a PORT from 1024 on";
    case EADDRNOTAVAIL:
      return "this machine does not have that address; set HOST to one of its own, or to "
             "0.0.0.0 for all of them";
    case EAFNOSUPPORT:
      return "this machine has that address family switched off; set HOST to an address of the "
             "other family";
    case EMFILE:
    case ENFILE:
      return "too many open files; raise the limit (ulimit -n, LimitNOFILE)";
    default:
      return "see socket(7) and ip(7) for this error";
  }
}

bool set_option(int fd, int level, int option, int value) {
  return setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

bool bind_to(int fd, const addrinfo& address, bool reuse_port) {
  return set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1) &&
         (!reuse_port || set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1)) &&
         set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1) &&
         (address.ai_family != AF_INET6 || set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0)) &&
         bind(fd, address.ai_addr, address.ai_addrlen) == 0;
}

// By hand: inet_ntop() goes through sprintf(), some 1,700 instructions for each connection.
std::string ip4_text(const unsigned char* bytes) {
  char text[INET_ADDRSTRLEN];
  char* to = base::put_integer(text, bytes[0]);
  for (int i = 1; i < 4; ++i) to = base::put_integer(base::put(to, '.'), bytes[i]);
  return {text, to};
}

}  // namespace

namespace {

// A bound socket that does not listen yet. `error`: the errno of a failure.
base::Result<int> bound_socket(const std::string& host, int port, bool reuse_port, int* error) {
  *error = EINVAL;
  const std::string what = "cannot listen on " + address_text(host, port) + ": ";
  if (port < 0 || port > 65535) {
    return base::Status::error(what + "PORT must be a number from 0 to 65535");
  }
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (host.empty() ||
      getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) {
    return base::Status::error(what +
                               "HOST is not an IP address; set it to one such as 127.0.0.1, "
                               "0.0.0.0 or ::1");
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> address(found, &freeaddrinfo);
  const int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd >= 0 && bind_to(fd, *address, reuse_port)) return fd;
  *error = errno;
  if (fd >= 0) ::close(fd);
  return base::Status::error(what + strerrordesc_np(*error) + ": " + remedy(*error));
}

}  // namespace

base::Result<int> listen_tcp(const std::string& host, int port, bool reuse_port) {
  int error = 0;
  auto bound = bound_socket(host, port, reuse_port, &error);
  if (!bound.ok()) return bound;
  const int fd = bound.value();
  if (listen(fd, kBacklog) == 0) return fd;
  error = errno;
  ::close(fd);
  return base::Status::error("cannot listen on " + address_text(host, port) + ": " +
                             strerrordesc_np(error) + ": " + remedy(error));
}

base::Result<int> bind_tcp_once(const std::string& host, int port, int* error) {
  auto bound = bound_socket(host, port, false, error);
  if (!bound.ok()) return bound;
  const int free_port = bound_port(bound.value());
  ::close(bound.value());
  return free_port;
}

int bound_port(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return -1;
  if (address.ss_family == AF_INET) {
    return ntohs(reinterpret_cast<const sockaddr_in&>(address).sin_port);
  }
  if (address.ss_family == AF_INET6) {
    return ntohs(reinterpret_cast<const sockaddr_in6&>(address).sin6_port);
  }
  return -1;
}

int waiting_count(int listener) {
  tcp_info info{};
  socklen_t size = sizeof(info);
  if (getsockopt(listener, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return -1;
  return static_cast<int>(info.tcpi_unacked);
}

void tune_accepted(int fd) {
  // Fails only on a connection that is gone already; its recv will say so.
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
}

std::string address_text(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET) {
    const in_addr& ip = reinterpret_cast<const sockaddr_in&>(address).sin_addr;
    return ip4_text(reinterpret_cast<const unsigned char*>(&ip));
  }
  if (address.ss_family != AF_INET6) return {};
  const in6_addr& ip = reinterpret_cast<const sockaddr_in6&>(address).sin6_addr;
  if (IN6_IS_ADDR_V4MAPPED(&ip)) return ip4_text(ip.s6_addr + 12);
  char text[INET6_ADDRSTRLEN] = {};
  inet_ntop(AF_INET6, &ip, text, sizeof text);
  return text;
}

std::string address_text(const std::string& host, int port) {
  const bool ipv6 = host.find(':') != std::string::npos;
  return (ipv6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

}  // namespace postback::io
