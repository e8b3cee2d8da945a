// What the servers that tests start have in common: the account they run as, a folder and a port of
// their own. Faults of a fixture itself end the program: there is nothing to test then.
//
// Thread: one, the one that made the server (it must outlive the server).
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace postback::test {

[[noreturn]] void fail(const std::string& what);

// Who a server runs as: user postgres when we are root, else ourselves.
struct Account {
  uid_t user;
  gid_t group;
  Account();
};

// Starts a program as the account, output to `log`. It dies with this program.
pid_t spawn(const std::vector<std::string>& arguments, const std::string& log);

// A new temporary folder that belongs to the account.
std::string make_folder(const std::string& prefix);

// A port of 127.0.0.1 that no other program of the tests takes while `claim` is open. It lies below
// the range that the kernel gives to connections and to port 0, where there is room, so that a
// server finds its port free whenever it starts.
struct ClaimedPort {
  int port = 0;
  int claim = -1;
};
ClaimedPort claim_free_port();

}  // namespace postback::test
