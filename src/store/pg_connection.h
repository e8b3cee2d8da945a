// One libpq connection, driven by the loop. libpq does the protocol; this class tells it when its
// socket is ready and hands on the results.
//
//   start() → connection_established() → statements and connection_result() …
//                        ↘ or at any time ↘
//                     close() or a failure → connection_closed()
//
// libpq closes and replaces its descriptor when it likes (the next host, TLS refused, a reset),
// which a loop must not see happen under it. So the loop watches a duplicate, which we own.
//
// Owner: PgSession. Must not be destroyed between start() and connection_closed().
// Thread: the core's. Nothing blocks. Callbacks come from the loop only, never from a call below.
#pragma once

#include <libpq-fe.h>

#include <memory>
#include <string>

#include "postback/loop.h"
#include "store/pg_batch.h"
#include "store/pg_url.h"

namespace postback::store {

class PgConnectionClient {
 public:
  virtual void connection_established() = 0;
  // A result of the statements sent, in their order, valid during the call. nullptr: a statement
  // sent with send_query() is complete.
  virtual void connection_result(const PGresult* result) = 0;
  // Nothing is outstanding and libpq's connection is gone; start() may be called again. `error` is
  // libpq's text (raw, many lines), empty when close() was the only reason.
  virtual void connection_closed(const std::string& error) = 0;

 protected:
  ~PgConnectionClient() = default;
};

class PgConnection final : LoopClient {
 public:
  PgConnection(Loop* loop, PgConnectionClient* client) : loop_(loop), client_(client) {}
  ~PgConnection();
  PgConnection(const PgConnection&) = delete;
  PgConnection& operator=(const PgConnection&) = delete;

  void start(const PgParameters& parameters);
  // Gives the connection up, whatever is outstanding. Does nothing when closed or closing.
  void close();
  // Reads once more what libpq may hold although the socket is silent: a TLS record can be
  // decrypted into more than libpq took at once. Called about every 50 ms.
  void tick();

  // Before pipeline mode: one query, one or more statements; results, then nullptr.
  void send_query(const char* sql);
  void enter_pipeline();
  // In pipeline mode. Values are copied; a failure to send closes the connection.
  void send_prepare(const char* name, const char* sql);
  void send_prepared(const char* name, int count, const PgParameterList::Arrays& values);
  // One statement that nobody has prepared.
  void send_text(const char* sql, int count, const PgParameterList::Arrays& values);
  void send_sync();  // Also sends what was buffered.

  bool is_open() const { return state_ != State::closed; }
  PGconn* raw() { return raw_.get(); }

 private:
  enum class State { closed, connecting, open, closing };
  struct Finish {
    void operator()(PGconn* connection) const { PQfinish(connection); }
  };

  void complete(const Completion& completion) override;
  void connect_step(PostgresPollingStatusType wanted);
  void socket_ready();
  void read_results();
  void watch_socket();
  void release_socket();
  void flush();
  void fail();
  void begin_closing();
  void finish();

  Loop* loop_;
  PgConnectionClient* client_;
  std::unique_ptr<PGconn, Finish> raw_;
  State state_ = State::closed;
  SocketId socket_;         // The duplicate; none while index is UINT32_MAX.
  int unclosed_count_ = 0;  // Sockets given to the loop whose `closed` has not come.
  bool query_active_ = false;
  bool wants_write_ = false;
  std::string error_;
};

}  // namespace postback::store
