// Which connections there are: how many are accepted, which ones go when descriptors are short,
// and how they end when the server leaves.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/log.h"
#include "io/listener.h"
#include "server/connections.h"

namespace postback::server {
namespace {

// A client that has connected, or has taken an answer, may send its next request for this long even
// when others wait for its descriptor; and a server that stops still answers it.
constexpr uint64_t kIdleGraceNs = 200 * kMillisecondNs;
// Closed in one sweep where the system does not tell how many clients wait, or when it has no
// descriptors left for reasons that are not ours.
constexpr size_t kClosedUnasked = 16;

}  // namespace

void Connections::start(int listener) {
  listener_closed_ = false;
  listener_fd_ = listener;
  listener_ = loop_->open(listener, this, kListenerContext);
}

void Connections::set_bound(uint32_t connections_max) {
  if (draining_) return;
  loop_->accept(listener_, room_.set_bound(connections_max));
}

void Connections::accept_failed(int error) {
  // The loop backs off by itself and says so at most ten times a second.
  ++counters_.accept_errors;
  accept_failed_ = true;
  if (!accept_log_.may_write(loop_->now_ns())) return;
  LOG_WARNING("server", std::string("cannot accept connections: ") + std::strerror(error) +
                            "; idle ones are closed to make room. Raise the limit of open files "
                            "(ulimit -n, LimitNOFILE) if this goes on" +
                            accept_log_.take_left_out());
}

bool Connections::is_idle(const Connection& connection) const {
  return connection.open && !connection.closing && !connection.lingering &&
         !connection.close_when_sent && connection.exchange_count == 0 &&
         connection.send_started_ns == 0 && connection.parser.idle() && connection.input.empty();
}

// While a client waits for a descriptor, those go that have been idle the longest: a client that
// sends nothing must not keep out one that does. Nobody is closed while nobody waits.
void Connections::make_room(uint64_t now_ns) {
  const bool failed = std::exchange(accept_failed_, false);
  if (draining_ || (!room_.full() && !failed)) return;
  size_t wanted = kClosedUnasked;
  if (const int waiting = io::waiting_count(listener_fd_); waiting >= 0) {
    wanted = static_cast<size_t>(waiting);
  }
  std::vector<Connection*> idle;
  for (const auto& connection : connections_) {
    if (idle_too_long(*connection, now_ns)) idle.push_back(connection.get());
  }
  const auto longest = [](const Connection* a, const Connection* b) {
    return a->phase_started_ns < b->phase_started_ns;
  };
  if (wanted < idle.size()) {
    std::nth_element(idle.begin(), idle.begin() + static_cast<ptrdiff_t>(wanted), idle.end(),
                     longest);
    idle.resize(wanted);
  }
  counters_.closed_for_room += idle.size();
  for (Connection* connection : idle) close(*connection);
}

void Connections::leave() {
  leaving_ = true;
}

void Connections::drain() {
  draining_ = true;
  leaving_ = true;
  // The loop hands out the connections that wait in the listener's queue before it closes it.
  if (!listener_closed_) loop_->close(listener_);
  const uint64_t now_ns = loop_->now_ns();
  for (const auto& connection : connections_) {
    if (!connection->open || connection->closing || connection->lingering) continue;
    // A request that has begun to arrive is still taken; begin_request() closes behind it.
    if (!connection->parser.idle() || !connection->input.empty()) continue;
    if (connection->exchange_count > 0) {
      const uint32_t newest = connection->first_sequence + connection->exchange_count - 1;
      connection->exchanges[newest % kExchangesMax].close = true;  // Its answer says so.
    } else if (!idle_too_long(*connection, now_ns)) {
      // Its next request may be on the way, and would be lost: it has until its grace is over.
      continue;
    }
    end(*connection);
  }
}

bool Connections::idle_too_long(const Connection& connection, uint64_t now_ns) const {
  return is_idle(connection) && now_ns > connection.phase_started_ns + kIdleGraceNs;
}

// Nothing more is read; it closes when what is owed is sent.
void Connections::end(Connection& connection) {
  connection.close_when_sent = true;
  connection.input_ended = true;
  mark_dirty(connection);
}

}  // namespace postback::server
