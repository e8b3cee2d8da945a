#include "io/port_claim.h"

#include <unistd.h>

#include <cerrno>
#include <optional>
#include <thread>

#include "io/listener.h"
#include "io/port_owner.h"

namespace postback::io {
namespace {

using base::Result;
using base::Status;
using std::chrono::milliseconds;

constexpr milliseconds kTryEvery{20};
// A process that was killed may look alive for a moment (between taking the signal and beginning to
// exit), so an owner counts when it is seen twice, this far apart.
constexpr milliseconds kLookEvery{150};

Status taken(const std::string& address, const std::optional<PortOwner>& owner,
             milliseconds patience) {
  const std::string what = "cannot listen on " + address + ": Address already in use: ";
  if (owner) {
    return Status::error(what + owner->program + " (process " + std::to_string(owner->pid) +
                         ") listens there; stop it or choose another PORT");
  }
  return Status::error(what + "a program that cannot be seen from here (another user's, or in a " +
                       "container) has listened there for " +
                       std::to_string(patience.count() / 1000) +
                       " s; stop it or choose another PORT");
}

}  // namespace

Result<ClaimedPort> claim_port(const std::string& host, int port, int count,
                               milliseconds patience) {
  const auto started = std::chrono::steady_clock::now();
  auto next_look = started;
  std::optional<PortOwner> seen;
  ClaimedPort claimed;
  while (true) {
    int error = 0;
    // Without SO_REUSEPORT, so that it fails when anybody listens; and it does not listen itself,
    // since connections that came to it would be reset when it is closed.
    auto free_port = bind_tcp_once(host, port, &error);
    if (free_port.ok()) {
      claimed.port = free_port.value();
      break;
    }
    const auto now = std::chrono::steady_clock::now();
    if (error != EADDRINUSE) return free_port.status();
    if (now >= next_look) {
      const std::optional<PortOwner> owner = listening_process(port);
      if (owner && seen && owner->pid == seen->pid) {
        return taken(address_text(host, port), owner, patience);
      }
      seen = owner;
      next_look = now + kLookEvery;
    }
    if (now - started >= patience) return taken(address_text(host, port), seen, patience);
    std::this_thread::sleep_for(kTryEvery);
  }
  for (int i = 0; i < count; ++i) {
    auto listener = listen_tcp(host, claimed.port, true);
    if (!listener.ok()) {
      for (const int fd : claimed.listeners) ::close(fd);
      return listener.status();
    }
    claimed.listeners.push_back(listener.value());
  }
  return claimed;
}

}  // namespace postback::io
