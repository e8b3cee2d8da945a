// A private PostgreSQL server for one test program: its own data directory, its own port on
// 127.0.0.1 and its own Unix socket. The first test program ever to ask pays for initdb; later ones
// copy the template folder that it left in the temporary directory.
//
// PostgreSQL refuses to run as root: as root the server runs as user `postgres`. It dies with
// the test program. Faults of the fixture itself end the program: there is nothing to test then.
//
// Thread: one, the one that made it (it must outlive the object).
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

namespace postback::test {

struct PostgresOptions {
  // fsync=on. Off is quicker and enough wherever the machine itself does not crash: pages written
  // by a killed server stay in the kernel.
  bool durable = false;
  std::vector<std::string> settings;  // Further ones, "name=value".
};

class PostgresServer {
 public:
  // Returns when the server takes connections.
  explicit PostgresServer(const PostgresOptions& options = {});
  // A hot standby that follows `primary`.
  static std::unique_ptr<PostgresServer> standby_of(const PostgresServer& primary);
  ~PostgresServer();  // Immediate stop; removes the data directory.
  PostgresServer(const PostgresServer&) = delete;
  PostgresServer& operator=(const PostgresServer&) = delete;

  // Whether PostgreSQL's programs are installed; without them a test calls GTEST_SKIP().
  static bool available();

  // "postgresql://postgres@127.0.0.1:PORT/DATABASE", no password (the server trusts).
  std::string url(const std::string& database) const;
  // The same through the Unix socket.
  std::string socket_url(const std::string& database) const;
  int port() const { return port_; }

  void stop();            // Fast: sessions are ended, a checkpoint is made.
  void stop_immediate();  // As a crash: no checkpoint, recovery at the next start.
  void kill_hard();       // SIGKILL to every process.
  void start();           // After a stop; returns when the server takes connections.
  void start_without_waiting();
  void pause();   // SIGSTOP to every process of the server; connections stay open.
  void resume();  // SIGCONT.

  // Runs SQL on a connection of its own and waits. Rows of the last statement; NULL is "NULL".
  using Rows = std::vector<std::vector<std::string>>;
  Rows query(const std::string& database, const std::string& sql) const;
  // The same for one value ("" when there is no row).
  std::string value(const std::string& database, const std::string& sql) const;
  void create_database(const std::string& name) const;
  void promote();  // A standby; returns when it accepts writes.

 private:
  struct Empty {};
  explicit PostgresServer(Empty) {}
  void make_cluster();
  void claim_free_port();
  void wait_ready() const;
  void wait_ended();
  std::vector<pid_t> processes() const;

  PostgresOptions options_;
  std::string folder_;  // Holds data/, the socket and the server's log.
  int port_ = 0;
  int port_claim_ = -1;  // A socket that keeps the port from other processes of the tests.
  pid_t postmaster_ = -1;
};

}  // namespace postback::test
