// The connections of one core: accepting, reading, answering in order, time limits. What a request
// means is the handler's business; it answers each exchange once, at once or later.
//
// Thread: the core's.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "http/known_heads.h"
#include "http/parser.h"
#include "http/response.h"
#include "postback/loop.h"
#include "server/held_bytes.h"
#include "server/limits.h"
#include "server/report_budget.h"

namespace postback::server {

// Names one request and its answer. Stale ids (the client is gone, the time limit has answered) are
// ignored by answer().
struct ExchangeId {
  uint32_t connection = 0;
  uint64_t exchange = 0;  // Generation of the connection, sequence on it.
};

struct Answer {
  int status = 200;
  std::string_view body = {};
  std::string_view content_type = "application/json";
  std::string_view allow = {};
  int retry_after_s = 0;
  bool close = false;
  // Not null: its text is the body, instead of `body`. Taken over when somebody still waits for
  // the answer; its lease ends when the client has taken all of it.
  ReportBody* report = nullptr;
};

class RequestHandler {
 public:
  // Answers through Connections::answer(). `request` is valid during the call. Returns the time
  // within which the answer must come, in nanoseconds; then timed_out() is asked for one.
  virtual uint64_t handle(const ExchangeId& id, const http::Request& request,
                          std::string_view peer_ip) = 0;
  // Must answer at once.
  virtual void timed_out(const ExchangeId& id) = 0;
  virtual void refused(const ExchangeId& id, const http::Refusal& refusal) = 0;

 protected:
  ~RequestHandler() = default;
};

struct ConnectionCounters {
  uint64_t accepted = 0;
  uint64_t accept_errors = 0;
  uint64_t closed_by_limit = 0;
  uint64_t shed = 0;  // Refused or closed: clients made the core hold too much.
  std::array<uint64_t, 600> answers_by_status{};
};

class Connections final : public LoopClient {
 public:
  // held_bytes_max: for half-sent requests, and as much for answers that are not taken.
  Connections(Loop* loop, const base::Clock* clock, RequestHandler* handler,
              size_t held_bytes_max = kHalfSentBytesMax);
  ~Connections();  // No connection is left.
  Connections(const Connections&) = delete;
  Connections& operator=(const Connections&) = delete;

  void start(int listener);  // Takes ownership of the descriptor.
  void answer(const ExchangeId& id, const Answer& answer);
  // From handle(): the answer may be large. Nothing more is read from this client, not even what
  // it has sent already, until it has taken the answer: so it has one report at a time.
  void begin_report(const ExchangeId& id);
  void flush();                 // End of turn: sends what was answered.
  void sweep(uint64_t now_ns);  // About every 250 ms: time limits.

  // Stops accepting, closes idle connections; the others close after their answers, those that
  // send a request after the answer to it.
  void drain();
  void close_all();
  bool empty() const { return open_count_ == 0 && listener_closed_; }

  size_t open_count() const { return open_count_; }
  size_t buffer_bytes() const;  // Of all connections, open or not.
  const ConnectionCounters& counters() const { return counters_; }

  void complete(const Completion& completion) override;

 private:
  struct Exchange {
    uint64_t deadline_ns = 0;
    uint32_t sequence = 0;
    bool answered = false;
    bool close = false;
    bool keep_alive_named = false;
    bool is_head = false;
    std::string held;  // The answer, while an earlier one is missing.
  };
  struct Connection {
    explicit Connection(http::KnownHeads* known_heads) : parser(known_heads) {}

    uint32_t index = 0;
    uint32_t generation = 0;
    SocketId socket;
    int fd = -1;
    bool open = false;
    bool closing = false;             // close() was called; waits for `closed`.
    bool receiving = false;           // A recv is outstanding.
    bool input_ended = false;         // End of stream, or nothing more is read.
    bool close_when_sent = false;     // After everything answered so far.
    bool lingering = false;           // Sent all and shut down; reading away the rest.
    bool dirty = false;               // In dirty_.
    bool buffers_given_back = false;  // Since the last request.
    bool reporting = false;           // See begin_report().
    bool continue_due = false;        // 100 Continue is owed when the answers before are out.
    uint32_t first_sequence = 0;      // Of the oldest exchange.
    uint32_t exchange_count = 0;
    std::array<Exchange, kExchangesMax> exchanges;
    http::Parser parser;
    uint64_t phase_started_ns = 0;  // Of the head, the body, or the idle time.
    bool phase_is_body = false;
    uint64_t send_started_ns = 0;  // Of the send outstanding; 0 when none.
    size_t sent_bytes = 0;         // Of sending.
    std::string input;             // Received, not parsed: reading has stopped.
    std::string output;            // Answered, not given to the loop.
    std::string sending;           // With the loop.
    ReportBody report;             // Sent behind the output, when every exchange is answered.
    size_t held_bytes = 0;         // As counted in half_sent_.
    std::string peer_ip;
  };

  static constexpr uint64_t kListenerContext = UINT64_MAX;

  void accepted(const Completion& completion);
  void received(Connection& connection, const Completion& completion);
  void sent(Connection& connection, const Completion& completion);
  void closed(Connection& connection);
  void consume(Connection& connection, std::string_view bytes);
  bool may_parse(const Connection& connection) const;
  void begin_request(Connection& connection);
  void begin_refusal(Connection& connection);
  ExchangeId begin_exchange(Connection& connection);
  Exchange* find(const ExchangeId& id, Connection** connection);
  void write_answer(std::string* out, Connection* connection, const Exchange& exchange,
                    const Answer& answer);
  void take_in_order(Connection& connection);
  void resume(Connection& connection);
  void receive_more(Connection& connection);
  void update_phase(Connection& connection, bool restart);
  void sweep_connection(Connection& connection, uint64_t now_ns);
  void give_back_buffers(Connection& connection);
  void send_output(Connection& connection);
  void send_piece(Connection& connection);
  void end_report(Connection& connection);
  void count_held(Connection& connection);
  void shed_half_sent();
  void shed_untaken();
  void refuse_half_sent(Connection& connection, const http::Refusal& refusal);
  void all_sent(Connection& connection);
  void mark_dirty(Connection& connection);
  void close(Connection& connection);

  Loop* loop_;
  const base::Clock* clock_;
  RequestHandler* handler_;
  SocketId listener_;
  bool listener_closed_ = true;
  bool draining_ = false;
  http::DateText date_;
  http::KnownHeads known_heads_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<uint32_t> free_;
  std::vector<uint32_t> dirty_;
  std::vector<uint32_t> flushing_;  // Scratch of flush().
  size_t open_count_ = 0;
  HeldBytes half_sent_;
  const size_t untaken_bytes_max_;
  ConnectionCounters counters_;
};

}  // namespace postback::server
