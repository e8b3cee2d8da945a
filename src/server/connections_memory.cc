// The memory of connections: what is given back, what is counted, and what is taken from clients
// who make the core hold too much.
#include "server/connections.h"

namespace postback::server {

void Connections::give_back_buffers(Connection& connection) {
  connection.buffers_given_back = true;
  connection.parser.reset();
  for (std::string* buffer : {&connection.input, &connection.output, &connection.sending}) {
    if (buffer->empty()) std::string().swap(*buffer);
  }
  for (Exchange& exchange : connection.exchanges) std::string().swap(exchange.held);
  half_sent_.change(&connection.held_bytes, 0);
}

size_t Connections::buffer_bytes() const {
  size_t bytes = 0;
  for (const auto& connection : connections_) {
    bytes += connection->parser.memory_bytes();
    for (const std::string* buffer : {&connection->input, &connection->output, &connection->sending,
                                      &connection->report.text}) {
      bytes += buffer->capacity();
    }
    for (const Exchange& exchange : connection->exchanges) bytes += exchange.held.capacity();
  }
  return bytes;
}

void Connections::begin_report(const ExchangeId& id) {
  connections_[id.connection]->reporting = true;
}

// The client has all of its report: what it sent meanwhile is looked at.
void Connections::end_report(Connection& connection) {
  connection.reporting = false;
  connection.report = {};
  mark_dirty(connection);
}

// After bytes came that do not complete a request, and once more when it is complete: the memory is
// kept for the next one for a while.
void Connections::count_held(Connection& connection) {
  half_sent_.change(&connection.held_bytes,
                    connection.parser.memory_bytes() + connection.input.capacity());
  if (half_sent_.too_many()) shed_half_sent();
}

// Takes memory back: first from clients between two requests, which do not notice, then from those
// whose request has been on its way for longest. They are told to send it again.
void Connections::shed_half_sent() {
  std::vector<HeldBytes::Holder> holders;
  for (const auto& connection : connections_) {
    if (!connection->open || connection->closing || connection->held_bytes == 0) continue;
    if (!may_parse(*connection)) continue;  // It waits for us, or is on its way out.
    if (connection->parser.idle()) {
      if (connection->exchange_count == 0) give_back_buffers(*connection);
      continue;
    }
    holders.push_back({connection->index, connection->phase_started_ns, connection->held_bytes});
  }
  for (const HeldBytes::Holder& holder : half_sent_.laziest(std::move(holders))) {
    ++counters_.shed;
    refuse_half_sent(*connections_[holder.connection],
                     {503, "overloaded", "too many requests are half sent; send it again"});
  }
}

// Nothing more of the request is read, and what came of it is given back at once.
void Connections::refuse_half_sent(Connection& connection, const http::Refusal& refusal) {
  const ExchangeId id = begin_exchange(connection);
  connection.exchanges[static_cast<uint32_t>(id.exchange) % kExchangesMax].close = true;
  connection.close_when_sent = true;
  connection.continue_due = false;
  connection.parser.reset();
  std::string().swap(connection.input);
  half_sent_.change(&connection.held_bytes, 0);
  handler_->refused(id, refusal);
}

// Answers that clients do not take. A report that has a lease is counted there (ReportBudget).
void Connections::shed_untaken() {
  std::vector<HeldBytes::Holder> holders;
  size_t bytes = 0;
  for (const auto& connection : connections_) {
    if (!connection->open || connection->closing || connection->send_started_ns == 0) continue;
    size_t held = connection->output.capacity();
    if (connection->report.lease.bytes() == 0) held += connection->sending.capacity();
    holders.push_back({connection->index, connection->send_started_ns, held});
    bytes += held;
  }
  if (bytes <= untaken_bytes_max_) return;
  for (const HeldBytes::Holder& holder :
       HeldBytes::laziest(std::move(holders), bytes, untaken_bytes_max_)) {
    ++counters_.shed;
    close(*connections_[holder.connection]);
  }
}

}  // namespace postback::server
