#include "tcp_proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

namespace postback::test {
namespace {

constexpr int kPollMs = 10;  // How soon a wish of the test is seen.

struct Pair {
  int client = -1;
  int server = -1;
};

void need(bool condition, const char* what) {
  if (condition) return;
  std::perror(what);
  std::abort();
}

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// Closes with a reset instead of an orderly end.
void reset(int fd) {
  const linger hard = {1, 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  close(fd);
}

bool write_all(int fd, const char* data, size_t size) {
  while (size > 0) {
    const ssize_t written = send(fd, data, size, MSG_NOSIGNAL);
    if (written <= 0) return false;
    data += written;
    size -= static_cast<size_t>(written);
  }
  return true;
}

}  // namespace

TcpProxy::TcpProxy(int server_port) : server_port_(server_port) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  need(bind(listener_, generic, size) == 0 && listen(listener_, 16) == 0, "proxy listener");
  need(getsockname(listener_, generic, &size) == 0, "proxy port");
  need(pipe(stop_pipe_) == 0, "proxy pipe");
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { run(); });
}

TcpProxy::~TcpProxy() {
  close(stop_pipe_[1]);
  thread_.join();
  close(stop_pipe_[0]);
  close(listener_);
}

void TcpProxy::reset_connections() {
  resetting_ = true;
  while (resetting_) usleep(1000);
}

void TcpProxy::run() {
  std::vector<Pair> pairs;
  const auto reset_all = [&] {
    for (const Pair& pair : pairs) {
      reset(pair.client);
      reset(pair.server);
    }
    pairs.clear();
  };
  while (true) {
    std::vector<pollfd> wanted = {{stop_pipe_[0], POLLIN, 0}, {listener_, POLLIN, 0}};
    for (const Pair& pair : pairs) {
      wanted.push_back({pair.client, POLLIN, 0});
      wanted.push_back({pair.server, POLLIN, 0});
    }
    poll(wanted.data(), wanted.size(), kPollMs);
    if (wanted[0].revents != 0) break;
    if (resetting_) {
      reset_all();
      swallowing_ = false;
      resetting_ = false;
      continue;
    }
    // Backwards, so that a pair that ended can be erased.
    for (size_t i = pairs.size(); i > 0; --i) {
      const Pair pair = pairs[i - 1];
      bool alive = true;
      for (const bool from_client : {true, false}) {
        if (!alive || wanted[2 * i + (from_client ? 0 : 1)].revents == 0) continue;
        char bytes[65536];
        const ssize_t size = read(from_client ? pair.client : pair.server, bytes, sizeof bytes);
        if (size <= 0) {
          alive = false;
        } else if (!from_client && swallowing_) {
          swallowed_bytes_ += size;
        } else {
          alive =
              write_all(from_client ? pair.server : pair.client, bytes, static_cast<size_t>(size));
        }
      }
      if (alive) continue;
      close(pair.client);
      close(pair.server);
      pairs.erase(pairs.begin() + static_cast<ptrdiff_t>(i - 1));
    }
    if (wanted[1].revents != 0) {
      Pair pair;
      pair.client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      pair.server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      const sockaddr_in address = loopback(server_port_);
      if (connect(pair.server, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
        pairs.push_back(pair);
      } else {
        close(pair.client);
        close(pair.server);
      }
    }
  }
  reset_all();
}

}  // namespace postback::test
