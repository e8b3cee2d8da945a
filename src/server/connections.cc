#include "server/connections.h"

#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "io/listener.h"

namespace postback::server {
namespace {

// Buffers that grew beyond this are given back when they are empty, so that idle connections stay
// small.
constexpr size_t kBufferBytesKept = 4 * 1024;

void empty_buffer(std::string* buffer) {
  if (buffer->capacity() > kBufferBytesKept) {
    std::string().swap(*buffer);
  } else {
    buffer->clear();
  }
}

std::string peer_address(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return {};
  return io::address_text(address);
}

bool has_unread_input(int fd) {
  int bytes = 0;
  return ioctl(fd, FIONREAD, &bytes) == 0 && bytes > 0;
}

}  // namespace

Connections::Connections(Loop* loop, const base::Clock* clock, RequestHandler* handler,
                         size_t held_bytes_max)
    : loop_(loop),
      clock_(clock),
      handler_(handler),
      half_sent_(held_bytes_max),
      untaken_bytes_max_(held_bytes_max) {}

Connections::~Connections() {
  CHECK(empty());
}

void Connections::complete(const Completion& completion) {
  if (completion.context == kListenerContext) {
    if (completion.event == Event::closed) listener_closed_ = true;
    if (completion.event == Event::accept) accepted(completion);
    return;
  }
  Connection& connection = *connections_[completion.context];
  if (connection.socket != completion.socket) return;
  switch (completion.event) {
    case Event::recv:
      received(connection, completion);
      break;
    case Event::send:
      sent(connection, completion);
      break;
    case Event::closed:
      closed(connection);
      break;
    case Event::accept:
    case Event::poll:
    case Event::timer:
      break;
  }
}

void Connections::accepted(const Completion& completion) {
  if (completion.result < 0) {
    accept_failed(-completion.result);
    return;
  }
  ++counters_.accepted;
  if (free_.empty()) {
    free_.push_back(static_cast<uint32_t>(connections_.size()));
    connections_.push_back(std::make_unique<Connection>(&known_heads_));
    connections_.back()->index = free_.back();
  }
  Connection& connection = *connections_[free_.back()];
  free_.pop_back();
  connection.fd = completion.result;
  io::tune_accepted(connection.fd);
  connection.peer_ip = peer_address(connection.fd);
  connection.socket = loop_->open(connection.fd, this, connection.index);
  connection.open = true;
  ++open_count_;
  room_.take();
  if (ended_) {
    close(connection);
    return;
  }
  update_phase(connection, true);
  receive_more(connection);
}

void Connections::received(Connection& connection, const Completion& completion) {
  connection.receiving = false;
  if (connection.closing) return;
  if (connection.lingering) {
    if (completion.result <= 0) {
      close(connection);
    } else {
      receive_more(connection);
    }
    return;
  }
  if (completion.result < 0) {
    close(connection);  // Reset: nobody is there to read answers.
    return;
  }
  if (completion.result == 0) {
    connection.input_ended = true;
    connection.close_when_sent = true;
    if (connection.exchange_count == 0) mark_dirty(connection);
    return;
  }
  consume(connection, {completion.data, static_cast<size_t>(completion.result)});
  receive_more(connection);
}

bool Connections::may_parse(const Connection& connection) const {
  return !connection.closing && !connection.close_when_sent && !connection.lingering &&
         !connection.reporting && connection.exchange_count < kExchangesMax &&
         connection.output.size() < kOutputBytesMax;
}

// Parses and handles requests until the bytes are used up or reading must stop.
void Connections::consume(Connection& connection, std::string_view bytes) {
  connection.buffers_given_back = false;
  bool is_half_sent = false;
  while (!bytes.empty() && may_parse(connection)) {
    const bool was_idle = connection.parser.idle();
    switch (connection.parser.feed(&bytes)) {
      case http::Parser::Status::need_more:
        is_half_sent = true;
        update_phase(connection, was_idle);
        break;
      case http::Parser::Status::expect_continue:
        is_half_sent = true;
        update_phase(connection, was_idle);
        if (connection.exchange_count == 0) {
          http::append_continue(&connection.output);
          mark_dirty(connection);
        } else {
          connection.continue_due = true;
        }
        break;
      case http::Parser::Status::request:
        begin_request(connection);
        update_phase(connection, true);
        break;
      case http::Parser::Status::refused:
        begin_refusal(connection);
        break;
    }
  }
  if (!bytes.empty() && !connection.close_when_sent && !connection.closing) {
    connection.input.append(bytes);
    is_half_sent = true;
  }
  if (is_half_sent || connection.held_bytes > 0) count_held(connection);
}

ExchangeId Connections::begin_exchange(Connection& connection) {
  const uint32_t sequence = connection.first_sequence + connection.exchange_count;
  ++connection.exchange_count;
  Exchange& exchange = connection.exchanges[sequence % kExchangesMax];
  exchange.sequence = sequence;
  exchange.answered = false;
  exchange.close = false;
  exchange.keep_alive_named = false;
  exchange.is_head = false;
  exchange.deadline_ns = UINT64_MAX;
  return {connection.index, (uint64_t{connection.generation} << 32) | sequence};
}

void Connections::begin_request(Connection& connection) {
  const http::Request& request = connection.parser.request();
  const ExchangeId id = begin_exchange(connection);
  Exchange& exchange = connection.exchanges[static_cast<uint32_t>(id.exchange) % kExchangesMax];
  exchange.close = !request.keep_alive || leaving_;
  exchange.keep_alive_named = request.keep_alive && request.version_minor == 0;
  exchange.is_head = request.method == http::Method::head;
  if (exchange.close) {
    connection.close_when_sent = true;
    connection.input_ended = true;
  }
  const uint64_t limit_ns = handler_->handle(id, request, connection.peer_ip);
  if (!exchange.answered) exchange.deadline_ns = loop_->now_ns() + limit_ns;
}

void Connections::begin_refusal(Connection& connection) {
  const ExchangeId id = begin_exchange(connection);
  connection.exchanges[static_cast<uint32_t>(id.exchange) % kExchangesMax].close = true;
  connection.close_when_sent = true;
  handler_->refused(id, connection.parser.refusal());
}

Connections::Exchange* Connections::find(const ExchangeId& id, Connection** connection) {
  if (id.connection >= connections_.size()) return nullptr;
  Connection& candidate = *connections_[id.connection];
  const auto sequence = static_cast<uint32_t>(id.exchange);
  if (!candidate.open || candidate.closing || candidate.generation != id.exchange >> 32 ||
      sequence - candidate.first_sequence >= candidate.exchange_count) {
    return nullptr;
  }
  Exchange& exchange = candidate.exchanges[sequence % kExchangesMax];
  if (exchange.answered) return nullptr;
  *connection = &candidate;
  return &exchange;
}

void Connections::answer(const ExchangeId& id, const Answer& answer) {
  Connection* connection = nullptr;
  Exchange* exchange = find(id, &connection);
  if (exchange == nullptr) return;
  ++counters_.answers_by_status[static_cast<size_t>(answer.status)];
  exchange->answered = true;
  if (answer.close) {
    exchange->close = true;
    connection->close_when_sent = true;
  }
  const bool is_oldest = exchange->sequence == connection->first_sequence;
  write_answer(is_oldest ? &connection->output : &exchange->held, connection, *exchange, answer);
  if (is_oldest) take_in_order(*connection);
}

void Connections::write_answer(std::string* out, Connection* connection, const Exchange& exchange,
                               const Answer& answer) {
  http::ResponseHead head;
  head.status = answer.status;
  head.content_type = answer.content_type;
  head.close = exchange.close;
  head.keep_alive_named = exchange.keep_alive_named && !exchange.close;
  head.retry_after_s = answer.retry_after_s;
  head.allow = answer.allow;
  head.without_body = exchange.is_head || answer.status == 204;
  if (answer.report == nullptr) {
    http::append_response(out, head, date_.at(clock_->wall_us()), answer.body);
    return;
  }
  std::string& text = answer.report->text;
  const bool is_apart = !head.without_body && text.size() > kBodyBytesCopied;
  head.without_body |= is_apart;
  http::append_response(out, head, date_.at(clock_->wall_us()), text);
  connection->report = std::move(*answer.report);
  if (!is_apart) std::string().swap(connection->report.text);
}

// The oldest exchange's answer is in the output: removes it, and every later one that was only
// waiting for it.
void Connections::take_in_order(Connection& connection) {
  while (connection.exchange_count > 0) {
    Exchange& exchange = connection.exchanges[connection.first_sequence % kExchangesMax];
    if (!exchange.answered) break;
    if (!exchange.held.empty()) {
      connection.output.append(exchange.held);
      empty_buffer(&exchange.held);
    }
    ++connection.first_sequence;
    --connection.exchange_count;
    if (exchange.close) {
      // Nothing behind this answer is sent, even if it was executed.
      connection.first_sequence += connection.exchange_count;
      connection.exchange_count = 0;
      connection.close_when_sent = true;
    }
  }
  if (connection.exchange_count == 0) {
    update_phase(connection, connection.parser.idle());
    if (std::exchange(connection.continue_due, false)) {
      http::append_continue(&connection.output);
    }
  }
  mark_dirty(connection);
}

void Connections::mark_dirty(Connection& connection) {
  if (connection.dirty) return;
  connection.dirty = true;
  dirty_.push_back(connection.index);
}

void Connections::flush() {
  // Resumed input may be answered at once and make its connection dirty again.
  while (!dirty_.empty()) {
    flushing_.swap(dirty_);
    for (const uint32_t index : flushing_) {
      Connection& connection = *connections_[index];
      connection.dirty = false;
      if (!connection.open || connection.closing) continue;
      resume(connection);
      send_output(connection);
    }
    flushing_.clear();
  }
}

// Goes on with what was received while reading had stopped.
void Connections::resume(Connection& connection) {
  if (!connection.input.empty() && may_parse(connection)) {
    std::string bytes = std::exchange(connection.input, {});
    consume(connection, bytes);
  }
  receive_more(connection);
}

void Connections::receive_more(Connection& connection) {
  if (connection.receiving || connection.closing || connection.input_ended) return;
  if (!connection.lingering && (!may_parse(connection) || !connection.input.empty())) return;
  connection.receiving = true;
  loop_->recv(connection.socket);
}

void Connections::send_output(Connection& connection) {
  if (connection.closing || connection.send_started_ns != 0) return;
  if (!connection.output.empty()) {
    std::swap(connection.sending, connection.output);
  } else if (connection.exchange_count == 0 && !connection.report.text.empty()) {
    std::swap(connection.sending, connection.report.text);
  } else {
    if (connection.reporting && connection.exchange_count == 0) {
      end_report(connection);
      return;
    }
    if (connection.close_when_sent && connection.exchange_count == 0) all_sent(connection);
    return;
  }
  connection.sent_bytes = 0;
  send_piece(connection);
}

void Connections::send_piece(Connection& connection) {
  connection.send_started_ns = loop_->now_ns();
  const size_t bytes = connection.sending.size() - connection.sent_bytes;
  loop_->send(connection.socket, connection.sending.data() + connection.sent_bytes,
              connection.reporting ? std::min(bytes, kSendBytesMax) : bytes);
}

void Connections::sent(Connection& connection, const Completion& completion) {
  if (connection.closing) return;
  if (completion.result < 0) {
    close(connection);
    return;
  }
  connection.sent_bytes += static_cast<size_t>(completion.result);
  if (connection.sent_bytes < connection.sending.size()) {
    send_piece(connection);
    return;
  }
  connection.send_started_ns = 0;
  empty_buffer(&connection.sending);
  // Also when nothing is left to send: reading may have stopped because of the output's size.
  if (!connection.output.empty() || connection.close_when_sent || !connection.receiving) {
    mark_dirty(connection);
  }
}

void Connections::all_sent(Connection& connection) {
  if (connection.lingering) return;
  if (connection.input_ended && !has_unread_input(connection.fd)) {
    close(connection);
    return;
  }
  // The client may still be sending what was refused, or has sent more than was asked for. Closing
  // now would reset the connection and could destroy the answer on its way (RFC 9112 section 9.6).
  connection.lingering = true;
  connection.input_ended = false;
  connection.phase_started_ns = loop_->now_ns();
  ::shutdown(connection.fd, SHUT_WR);
  receive_more(connection);
}

// `restart`: a new phase (idle, head or body) begins now.
void Connections::update_phase(Connection& connection, bool restart) {
  const bool is_body = connection.parser.reading_body();
  if (restart || is_body != connection.phase_is_body) {
    connection.phase_started_ns = loop_->now_ns();
    connection.phase_is_body = is_body;
  }
}

void Connections::sweep(uint64_t now_ns) {
  for (const auto& connection : connections_) {
    if (connection->open && !connection->closing) sweep_connection(*connection, now_ns);
  }
  make_room(now_ns);
  shed_untaken();
}

void Connections::sweep_connection(Connection& connection, uint64_t now_ns) {
  const uint32_t first = connection.first_sequence;
  for (uint32_t i = 0, count = connection.exchange_count; i < count; ++i) {
    const Exchange& exchange = connection.exchanges[(first + i) % kExchangesMax];
    if (exchange.answered || now_ns < exchange.deadline_ns) continue;
    handler_->timed_out(
        {connection.index, (uint64_t{connection.generation} << 32) | exchange.sequence});
  }
  const auto over = [now_ns](uint64_t since_ns, uint64_t limit_ns) {
    return now_ns > since_ns + limit_ns;
  };
  if (connection.send_started_ns != 0 && over(connection.send_started_ns, kSendLimitNs)) {
    ++counters_.closed_by_limit;
    close(connection);
    return;
  }
  const uint64_t since_ns = connection.phase_started_ns;
  if (connection.lingering) {
    if (over(since_ns, kLingerLimitNs)) close(connection);
    return;
  }
  if (connection.exchange_count > 0 || connection.send_started_ns != 0 ||
      connection.close_when_sent) {
    return;
  }
  if (connection.parser.idle()) {
    if (draining_ ? idle_too_long(connection, now_ns) : over(since_ns, kIdleLimitNs)) {
      close(connection);
    } else if (!connection.buffers_given_back && over(since_ns, kIdleBuffersNs)) {
      give_back_buffers(connection);
    }
    return;
  }
  if (!over(since_ns, connection.phase_is_body ? kBodyLimitNs : kHeadLimitNs)) return;
  ++counters_.closed_by_limit;
  refuse_half_sent(connection, {408, "request_timeout", "the request did not arrive in time"});
}

void Connections::close_all() {
  ended_ = true;
  for (const auto& connection : connections_) {
    if (connection->open && !connection->closing) close(*connection);
  }
}

void Connections::close(Connection& connection) {
  if (connection.closing) return;
  connection.closing = true;
  loop_->close(connection.socket);
}

void Connections::closed(Connection& connection) {
  connection.open = false;
  connection.closing = false;
  connection.socket = {};
  connection.fd = -1;
  ++connection.generation;
  connection.receiving = false;
  connection.input_ended = false;
  connection.close_when_sent = false;
  connection.lingering = false;
  connection.reporting = false;
  connection.report = {};
  connection.continue_due = false;
  connection.first_sequence = 0;
  connection.exchange_count = 0;
  for (Exchange& exchange : connection.exchanges) empty_buffer(&exchange.held);
  connection.parser.reset();
  connection.send_started_ns = 0;
  connection.sent_bytes = 0;
  empty_buffer(&connection.input);
  empty_buffer(&connection.output);
  empty_buffer(&connection.sending);
  half_sent_.change(&connection.held_bytes, 0);
  connection.peer_ip.clear();
  --open_count_;
  loop_->accept(listener_, room_.give_back());
  free_.push_back(connection.index);
}

}  // namespace postback::server
