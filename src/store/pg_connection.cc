#include "store/pg_connection.h"

#include <fcntl.h>
#include <poll.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "base/check.h"

namespace postback::store {
namespace {

// How often libpq is asked to read for one readiness under TLS: a record holds 16 KiB, libpq takes
// 8 KiB or more at a time. tick() catches what is left.
constexpr int kTlsReadsMax = 4;
constexpr int kTextResults = 0;

void ignore_notice(void* /*argument*/, const char* /*message*/) {}

}  // namespace

PgConnection::~PgConnection() {
  CHECK(state_ == State::closed);
}

void PgConnection::start(const PgParameters& parameters) {
  CHECK(state_ == State::closed);
  std::vector<const char*> names;
  std::vector<const char*> values;
  for (const auto& [name, value] : parameters) {
    names.push_back(name.c_str());
    values.push_back(value.c_str());
  }
  names.push_back(nullptr);
  values.push_back(nullptr);
  error_.clear();
  query_active_ = false;
  wants_write_ = false;
  state_ = State::connecting;
  raw_.reset(PQconnectStartParams(names.data(), values.data(), 0));
  if (!raw_) {
    error_ = "out of memory";
    begin_closing();
    return;
  }
  if (PQstatus(raw_.get()) == CONNECTION_BAD) {
    fail();
    return;
  }
  PQsetNoticeProcessor(raw_.get(), &ignore_notice, nullptr);
  // libpq 15 has no other way to tell the SQLSTATE of a refused connection than its text.
  PQsetErrorVerbosity(raw_.get(), PQERRORS_VERBOSE);
  connect_step(PGRES_POLLING_WRITING);
}

void PgConnection::connect_step(PostgresPollingStatusType wanted) {
  switch (wanted) {
    case PGRES_POLLING_READING:
    case PGRES_POLLING_WRITING:
      release_socket();
      watch_socket();
      if (state_ == State::connecting) {
        loop_->poll(socket_, wanted == PGRES_POLLING_READING ? POLLIN : POLLOUT);
      }
      return;
    case PGRES_POLLING_OK:
      release_socket();
      watch_socket();
      if (state_ != State::connecting) return;
      state_ = State::open;
      if (PQsetnonblocking(raw_.get(), 1) != 0) {
        fail();
        return;
      }
      PQsetErrorVerbosity(raw_.get(), PQERRORS_DEFAULT);
      loop_->poll(socket_, POLLIN);
      client_->connection_established();
      return;
    case PGRES_POLLING_FAILED:
    case PGRES_POLLING_ACTIVE:  // No longer used by libpq.
      fail();
      return;
  }
}

void PgConnection::complete(const Completion& completion) {
  switch (completion.event) {
    case Event::closed:
      --unclosed_count_;
      if (state_ == State::closing && unclosed_count_ == 0) finish();
      return;
    case Event::timer:
      if (state_ == State::closing && unclosed_count_ == 0) finish();
      return;
    case Event::poll:
      if (completion.socket != socket_) return;  // Of a descriptor already released.
      if (state_ == State::connecting) {
        connect_step(PQconnectPoll(raw_.get()));
      } else if (state_ == State::open) {
        socket_ready();
      }
      return;
    case Event::accept:
    case Event::recv:
    case Event::send:
      return;  // Never asked for.
  }
}

void PgConnection::socket_ready() {
  const int reads = PQsslInUse(raw_.get()) != 0 ? kTlsReadsMax : 1;
  bool alive = true;
  for (int i = 0; alive && i < reads && state_ == State::open; ++i) {
    alive = PQconsumeInput(raw_.get()) == 1;
    if (!alive) error_ = PQerrorMessage(raw_.get());
    read_results();  // Also when the connection broke: answers may stand before the break.
  }
  if (state_ != State::open) return;
  if (!alive || PQstatus(raw_.get()) == CONNECTION_BAD) {
    fail();
    return;
  }
  const int unsent = PQflush(raw_.get());
  if (unsent < 0) {
    fail();
    return;
  }
  wants_write_ = unsent == 1;
  // Reading goes on while writing: a server with full buffers of its own waits for us to read.
  loop_->poll_change(socket_, wants_write_ ? POLLIN | POLLOUT : POLLIN);
}

void PgConnection::read_results() {
  // In pipeline mode NULL ends each statement's results; a second NULL in a row is the end of all.
  bool after_null = false;
  while (state_ == State::open && PQisBusy(raw_.get()) == 0) {
    const std::unique_ptr<PGresult, decltype(&PQclear)> result(PQgetResult(raw_.get()), &PQclear);
    if (result) {
      after_null = false;
      client_->connection_result(result.get());
      continue;
    }
    if (query_active_) {
      query_active_ = false;
      client_->connection_result(nullptr);
      continue;
    }
    if (after_null) return;
    after_null = true;
  }
}

void PgConnection::tick() {
  if (state_ == State::open && PQsslInUse(raw_.get()) != 0) socket_ready();
}

void PgConnection::send_query(const char* sql) {
  if (state_ != State::open) return;
  query_active_ = true;
  if (PQsendQuery(raw_.get(), sql) != 1) {
    fail();
    return;
  }
  flush();
}

void PgConnection::enter_pipeline() {
  if (state_ == State::open && PQenterPipelineMode(raw_.get()) != 1) fail();
}

void PgConnection::send_prepare(const char* name, const char* sql) {
  if (state_ == State::open && PQsendPrepare(raw_.get(), name, sql, 0, nullptr) != 1) fail();
}

void PgConnection::send_prepared(const char* name, int count,
                                 const PgParameterList::Arrays& values) {
  if (state_ != State::open) return;
  if (PQsendQueryPrepared(raw_.get(), name, count, values.values.data(), values.sizes.data(),
                          values.formats.data(), kTextResults) != 1) {
    fail();
  }
}

void PgConnection::send_text(const char* sql, int count, const PgParameterList::Arrays& values) {
  if (state_ != State::open) return;
  if (PQsendQueryParams(raw_.get(), sql, count, nullptr, values.values.data(), values.sizes.data(),
                        values.formats.data(), kTextResults) != 1) {
    fail();
  }
}

void PgConnection::send_sync() {
  if (state_ != State::open) return;
  if (PQpipelineSync(raw_.get()) != 1) {
    fail();
    return;
  }
  flush();
}

void PgConnection::flush() {
  const int unsent = PQflush(raw_.get());
  if (unsent < 0) {
    fail();
  } else if (unsent == 1 && !wants_write_) {
    wants_write_ = true;
    loop_->poll_change(socket_, POLLIN | POLLOUT);
  }
}

void PgConnection::watch_socket() {
  const int duplicate = fcntl(PQsocket(raw_.get()), F_DUPFD_CLOEXEC, 0);
  if (duplicate < 0) {
    error_ = std::string("cannot watch the connection: ") + std::strerror(errno);
    begin_closing();
    return;
  }
  socket_ = loop_->open(duplicate, this, 0);
  ++unclosed_count_;
}

void PgConnection::release_socket() {
  if (socket_ == SocketId{}) return;
  loop_->close(socket_);
  socket_ = SocketId{};
}

void PgConnection::fail() {
  if (state_ == State::closing || state_ == State::closed) return;
  if (error_.empty()) error_ = PQerrorMessage(raw_.get());
  if (error_.empty()) error_ = "the connection was lost";
  begin_closing();
}

void PgConnection::close() {
  if (state_ == State::closing || state_ == State::closed) return;
  begin_closing();
}

void PgConnection::begin_closing() {
  state_ = State::closing;
  release_socket();
  // The `closed` completion comes back through the loop; without a socket a timer stands in, so
  // that connection_closed() never comes from within a call.
  if (unclosed_count_ == 0) loop_->timer_start(std::chrono::nanoseconds(0), this, 0);
}

void PgConnection::finish() {
  // Sends Terminate if the socket takes it at once: libpq is in non-blocking mode by then, and
  // while connecting it sends nothing.
  raw_.reset();
  state_ = State::closed;
  const std::string error = std::move(error_);
  error_.clear();
  client_->connection_closed(error);
}

}  // namespace postback::store
