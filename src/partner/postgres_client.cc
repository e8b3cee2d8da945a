// The PostgreSQL half of the SQL client: libpq in non-blocking mode behind a poll() with a time
// limit, so that a server that hangs costs no more than the limit. Only the resolver of host names
// has limits of its own (PQconnectStart calls getaddrinfo).
#include <libpq-fe.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <utility>

#include "base/pg_commit.h"
#include "base/pg_remedy.h"
#include "base/printable.h"
#include "base/time.h"
#include "partner/postgres_hosts.h"
#include "partner/sql_client.h"

namespace postback::partner {
namespace {

using base::Result;
using base::Status;

constexpr uint64_t kNsPerMs = 1'000'000;

uint64_t deadline_in(int ms) {
  return base::system_clock().monotonic_ns() + static_cast<uint64_t>(ms) * kNsPerMs;
}

// Waits until the connection's socket is ready. False when the time is over.
bool wait_for(PGconn* connection, short events, uint64_t deadline_ns) {
  for (;;) {
    const uint64_t now_ns = base::system_clock().monotonic_ns();
    if (now_ns >= deadline_ns) return false;
    pollfd entry{PQsocket(connection), events, 0};
    const int wait_ms = static_cast<int>((deadline_ns - now_ns) / kNsPerMs) + 1;
    const int ready = poll(&entry, 1, wait_ms);
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
  }
}

// libpq's messages may have several lines ("DETAIL: …") and tabs; one line remains.
std::string one_line(const char* message) {
  std::string text;
  for (const char* c = message == nullptr ? "" : message; *c != '\0'; ++c) {
    const bool blank = *c == '\n' || *c == '\t' || *c == ' ';
    if (!blank) {
      text += *c;
    } else if (!text.empty() && text.back() != ' ') {
      text += ' ';
    }
  }
  if (!text.empty() && text.back() == ' ') text.pop_back();
  return base::printable(text, 1000);
}

std::string quoted_identifier(const std::string& name) {
  std::string quoted = "\"";
  for (const char c : name) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + "\"";
}

using ResultHandle = std::unique_ptr<PGresult, decltype(&PQclear)>;

class PostgresClient final : public SqlClient {
 public:
  explicit PostgresClient(const SqlLimits& limits) : limits_(limits) {}
  ~PostgresClient() override { PQfinish(connection_); }

  // `database`: in place of the URL's; nullptr: the URL's. Who writes gets the first server that
  // accepts writes; a standby can store nothing. Who only reads gets it too, where there is one:
  // a standby may lag, and then does not know of a partner that was just added. Any other server
  // is better than none.
  Status connect(const std::string& url, SqlMode mode, const char* database) {
    const uint64_t deadline_ns = deadline_in(limits_.connect_ms);
    const PostgresHosts named = postgres_hosts(url);
    Status status = connect_to_one(url, database, named.hosts, "read-write", deadline_ns);
    if (status.ok() || mode != SqlMode::read || named.has_wish) return status;
    if (base::system_clock().monotonic_ns() >= deadline_ns) return status;
    const Status any = connect_to_one(url, database, named.hosts, "any", deadline_ns);
    return any.ok() ? any : status;
  }

  std::string database() const {
    const char* name = connection_ == nullptr ? nullptr : PQdb(connection_);
    return name == nullptr ? "" : name;
  }

  base::DatabaseKind kind() const override { return base::DatabaseKind::postgresql; }

  Result<SqlResult> query(const std::string& sql, const std::vector<SqlText>& parameters) override {
    std::vector<const char*> values;
    for (const SqlText& parameter : parameters) {
      values.push_back(parameter.has_value() ? parameter->c_str() : nullptr);
    }
    if (PQsendQueryParams(connection_, sql.c_str(), static_cast<int>(values.size()), nullptr,
                          values.data(), nullptr, nullptr, 0) != 1) {
      return statement_error(one_line(PQerrorMessage(connection_)));
    }
    return receive();
  }

  Status run(const std::string& sql) override {
    if (PQsendQuery(connection_, sql.c_str()) != 1) {
      return statement_error(one_line(PQerrorMessage(connection_)));
    }
    Result<SqlResult> result = receive();
    return result.ok() ? Status() : result.status();
  }

  Status begin(const std::string& lock_table) override {
    Status status = run("BEGIN; SELECT set_config('synchronous_commit', " +
                        std::string(base::kPgSynchronousCommit) + ", true)");
    if (!status.ok() || lock_table.empty()) return status;
    status = run("LOCK TABLE " + quoted_identifier(lock_table) + " IN SHARE ROW EXCLUSIVE MODE");
    if (!status.ok()) rollback();
    return status;
  }
  Status commit() override { return run("COMMIT"); }
  void rollback() override {
    if (!broken_ && PQtransactionStatus(connection_) != PQTRANS_IDLE) {
      // When this fails the connection is broken, and the server rolls back by itself.
      (void)run("ROLLBACK");
    }
  }
  bool is_behind() const override {
    const char* standby = PQparameterStatus(connection_, "in_hot_standby");  // From 14 on.
    return standby != nullptr && std::string_view(standby) == "on";
  }
  bool broken() const override { return broken_ || PQstatus(connection_) != CONNECTION_OK; }

 private:
  Status connect_to_one(const std::string& url, const char* database,
                        const std::vector<PostgresHost>& hosts, const char* kind,
                        uint64_t deadline_ns) {
    if (hosts.empty()) {
      const Status status = connect_to(url, database, nullptr, kind, deadline_ns);
      return status.ok() ? status : connect_error(status.message());
    }
    std::string errors;
    for (size_t i = 0; i < hosts.size(); ++i) {
      // A silent host leaves time for those behind it.
      const uint64_t now_ns = base::system_clock().monotonic_ns();
      const uint64_t left_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
      const Status status =
          connect_to(url, database, &hosts[i], kind, now_ns + left_ns / (hosts.size() - i));
      if (status.ok()) return status;
      errors += (errors.empty() ? "" : "; ") + status.message();
    }
    return connect_error(errors);
  }

  // The message of an error is what libpq says.
  Status connect_to(const std::string& url, const char* database, const PostgresHost* host,
                    const char* kind, uint64_t deadline_ns) {
    const auto given = [](const std::string& text) {
      return text.empty() ? nullptr : text.c_str();
    };
    // Later keywords beat those within the URL, the URL beats earlier ones, and a null value leaves
    // them as they are.
    const char* const keywords[] = {"fallback_application_name",
                                    "target_session_attrs",
                                    "dbname",
                                    "dbname",
                                    "host",
                                    "hostaddr",
                                    "port",
                                    "client_encoding",
                                    nullptr};
    const char* const values[] = {"postback",
                                  kind,
                                  url.c_str(),
                                  database,
                                  host == nullptr ? nullptr : given(host->host),
                                  host == nullptr ? nullptr : given(host->address),
                                  host == nullptr ? nullptr : given(host->port),
                                  "UTF8",
                                  nullptr};
    PQfinish(connection_);
    connection_ = PQconnectStartParams(keywords, values, 1);
    if (connection_ == nullptr) return Status::error("out of memory; give the process more");
    const uint64_t now_ns = base::system_clock().monotonic_ns();
    const uint64_t wait_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
    PostgresPollingStatusType next = PGRES_POLLING_WRITING;
    while (PQstatus(connection_) != CONNECTION_BAD && next != PGRES_POLLING_OK) {
      if (next == PGRES_POLLING_FAILED) break;
      const short events = next == PGRES_POLLING_READING ? POLLIN : POLLOUT;
      if (!wait_for(connection_, events, deadline_ns)) {
        const std::string name = host == nullptr ? "" : "host " + host->host + ": ";
        return Status::error(base::printable(name) + "no answer within " +
                             std::to_string((wait_ns + kNsPerMs / 2) / kNsPerMs) + " ms");
      }
      next = PQconnectPoll(connection_);
    }
    if (PQstatus(connection_) != CONNECTION_OK) {
      return Status::error(one_line(PQerrorMessage(connection_)));
    }
    PQsetnonblocking(connection_, 1);
    // Its notices ("relation already exists, skipping") are no business of the terminal.
    PQsetNoticeProcessor(
        connection_, [](void*, const char*) {}, nullptr);
    return Status();
  }

  // Sends what is queued and waits until PQgetResult would not block. False: see *failure.
  bool wait_for_result(uint64_t deadline_ns, std::string* failure) {
    bool flushed = false;
    for (;;) {
      if (!flushed) {
        const int left = PQflush(connection_);
        if (left < 0) break;
        flushed = left == 0;
      }
      if (flushed && PQisBusy(connection_) == 0) return true;
      const auto events = static_cast<short>(flushed ? POLLIN : POLLIN | POLLOUT);
      if (!wait_for(connection_, events, deadline_ns)) {
        *failure = "no answer within " + std::to_string(limits_.statement_ms) + " ms";
        return false;
      }
      if (PQconsumeInput(connection_) != 1) break;
    }
    *failure = one_line(PQerrorMessage(connection_));
    return false;
  }

  // Takes all results of what was sent; the last one's rows, or the first error.
  Result<SqlResult> receive() {
    const uint64_t deadline_ns = deadline_in(limits_.statement_ms);
    SqlResult rows;
    std::string failure;
    std::string sqlstate;
    for (;;) {
      std::string lost;
      if (!wait_for_result(deadline_ns, &lost)) {
        broken_ = true;
        return statement_error(lost);
      }
      const ResultHandle result(PQgetResult(connection_), &PQclear);
      if (result == nullptr) break;
      const ExecStatusType status = PQresultStatus(result.get());
      if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
        rows = rows_of(result.get());
      } else if (failure.empty()) {
        failure = one_line(PQresultErrorMessage(result.get()));
        const char* field = PQresultErrorField(result.get(), PG_DIAG_SQLSTATE);
        sqlstate = field == nullptr ? "" : field;
      }
    }
    if (!failure.empty()) return statement_error(failure, sqlstate);
    return rows;
  }

  static SqlResult rows_of(PGresult* result) {
    SqlResult out;
    const int columns = PQnfields(result);
    for (int r = 0; r < PQntuples(result); ++r) {
      SqlRow row(static_cast<size_t>(columns));
      for (int c = 0; c < columns; ++c) {
        if (PQgetisnull(result, r, c) != 0) continue;
        row[static_cast<size_t>(c)] =
            std::string(PQgetvalue(result, r, c), static_cast<size_t>(PQgetlength(result, r, c)));
      }
      out.rows.push_back(std::move(row));
    }
    // The tag of a command that changes rows; empty for others.
    out.changed_count = std::strtoll(PQcmdTuples(result), nullptr, 10);
    return out;
  }

  Status connect_error(const std::string& what) const {
    return Status::error("PostgreSQL database \"" + base::printable(database()) + "\": " + what +
                         "; " + std::string(base::pg_connect_remedy(what)));
  }
  Status statement_error(const std::string& what, const std::string& sqlstate = "") const {
    std::string_view remedy = base::pg_statement_remedy(sqlstate);
    if (remedy.empty()) remedy = "look into the server's log for more";
    return Status::error("PostgreSQL database \"" + base::printable(database()) + "\": " + what +
                         "; " + std::string(remedy));
  }

  SqlLimits limits_;
  PGconn* connection_ = nullptr;
  bool broken_ = false;
};

// A connection to a database that every server has, to ask about another. Not always may we
// connect to the first of the two.
Status connect_to_maintenance(const std::string& url, const SqlLimits& limits,
                              std::unique_ptr<PostgresClient>* client) {
  Status status;
  for (const char* database : {"postgres", "template1"}) {
    *client = std::make_unique<PostgresClient>(limits);
    status = (*client)->connect(url, SqlMode::write, database);
    if (status.ok()) return status;
  }
  return status;
}

Result<bool> exists(PostgresClient* maintenance, const std::string& database) {
  Result<SqlResult> found =
      maintenance->query("SELECT 1 FROM pg_database WHERE datname = $1", {database});
  if (!found.ok()) return found.status();
  return !found.value().rows.empty();
}

// Creates the database when it is missing. Another process may do the same at the same time.
Status create_database(PostgresClient* maintenance, const std::string& database) {
  Result<bool> found = exists(maintenance, database);
  if (!found.ok()) return found.status();
  if (found.value()) return Status();
  const Status status = maintenance->run("CREATE DATABASE " + quoted_identifier(database));
  if (status.ok()) return status;
  found = exists(maintenance, database);
  if (found.ok() && found.value()) return Status();
  return Status::error(status.message() + ", or create the database by hand: createdb " +
                       base::printable(database));
}

// The name of the URL's database. libpq fills in the default: the user's name.
std::string database_of(const std::string& url, const SqlLimits& limits, Status* status) {
  PostgresClient client(limits);
  *status = client.connect(url, SqlMode::read, nullptr);
  return client.database();
}

}  // namespace

Result<std::unique_ptr<SqlClient>> open_postgres_client(const std::string& url, SqlMode mode,
                                                        const SqlLimits& limits) {
  auto client = std::make_unique<PostgresClient>(limits);
  Status status = client->connect(url, mode, nullptr);
  if (!status.ok() && mode == SqlMode::create) {
    // CREATE DATABASE copies a template: it takes longer than a statement.
    SqlLimits slow = limits;
    slow.statement_ms = std::max(limits.statement_ms, 15000);
    const std::string database = client->database();
    std::unique_ptr<PostgresClient> maintenance;
    // When the server cannot even be asked, the first failure tells more than the second.
    if (database.empty() || !connect_to_maintenance(url, slow, &maintenance).ok()) return status;
    status = create_database(maintenance.get(), database);
    if (!status.ok()) return status;
    client = std::make_unique<PostgresClient>(limits);
    status = client->connect(url, mode, nullptr);
  }
  if (!status.ok()) return status;
  return std::unique_ptr<SqlClient>(std::move(client));
}

Result<bool> postgres_database_exists(const std::string& url, const SqlLimits& limits) {
  Status status;
  const std::string database = database_of(url, limits, &status);
  if (status.ok()) return true;
  std::unique_ptr<PostgresClient> maintenance;
  if (!connect_to_maintenance(url, limits, &maintenance).ok()) return status;
  return exists(maintenance.get(), database);
}

Status check_postgres_url(const std::string& url) {
  char* message = nullptr;
  PQconninfoOption* options = PQconninfoParse(url.c_str(), &message);
  const bool understood = options != nullptr;
  PQconninfoFree(options);
  PQfreemem(message);  // It may quote a part of the password: not shown.
  if (understood) return Status();
  return Status::error(
      "the database URL is not understood by libpq; give postgresql://USER:PASSWORD@HOST:PORT/"
      "DATABASE and write special characters percent-encoded (@ as %40, / as %2F)");
}

}  // namespace postback::partner
