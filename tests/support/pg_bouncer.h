// PgBouncer in front of a PostgresServer, with few connections to it in transaction mode, so that
// one client's transactions get now this one, now that. Dies with the test program.
//
// Thread: the one that made it.
#pragma once

#include <sys/types.h>

#include <string>

namespace postback::test {

class PgBouncer {
 public:
  // `connections`: to the server, for each user and database. Returns when it takes clients.
  PgBouncer(int server_port, int connections);
  ~PgBouncer();
  PgBouncer(const PgBouncer&) = delete;
  PgBouncer& operator=(const PgBouncer&) = delete;

  // Whether it is installed; without it a test calls GTEST_SKIP().
  static bool available();

  std::string url(const std::string& database) const;

 private:
  std::string folder_;
  int port_ = 0;
  int port_claim_ = -1;
  pid_t process_ = -1;
};

}  // namespace postback::test
