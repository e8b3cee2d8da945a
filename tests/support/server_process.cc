#include "server_process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>

namespace postback::test {
namespace {

// A listener on the port of 127.0.0.1, closed again at once.
bool can_listen(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  const bool free =
      bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 && listen(fd, 1) == 0;
  ::close(fd);
  return free;
}

// A socket with the name of the port, or -1 when another process of the tests has it. Of a name of
// the abstract namespace there is one (unix(7)); tests/e2e/databases.py claims the same way.
int claim_port(int port) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) fail("socket");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string name = "postback-test-port-" + std::to_string(port);
  name.copy(address.sun_path + 1, sizeof address.sun_path - 1);
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 && can_listen(port)) return fd;
  ::close(fd);
  return -1;
}

}  // namespace

void fail(const std::string& what) {
  std::fprintf(stderr, "fixture: %s (%s)\n", what.c_str(), std::strerror(errno));
  std::abort();
}

Account::Account() : user(geteuid()), group(getegid()) {
  if (user != 0) return;
  const passwd* entry = getpwnam("postgres");
  if (entry == nullptr) fail("no user postgres");
  user = entry->pw_uid;
  group = entry->pw_gid;
}

pid_t spawn(const std::vector<std::string>& arguments, const std::string& log) {
  const Account account;
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child < 0) fail("fork");
  if (child > 0) return child;
  const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (out >= 0) {
    dup2(out, 1);
    dup2(out, 2);
  }
  if (geteuid() == 0 && (setgid(account.group) != 0 || setuid(account.user) != 0)) _exit(126);
  // After setuid(), which clears it. SIGQUIT is PostgreSQL's immediate shutdown.
  prctl(PR_SET_PDEATHSIG, SIGQUIT);
  if (getppid() != parent) _exit(126);
  setpgid(0, 0);  // A ^C at the terminal goes to the test program only.
  if (chdir("/") != 0) _exit(126);
  std::vector<char*> raw;
  for (const std::string& argument : arguments) raw.push_back(const_cast<char*>(argument.c_str()));
  raw.push_back(nullptr);
  setenv("LC_ALL", "C", 1);
  execv(raw[0], raw.data());
  _exit(127);
}

std::string make_folder(const std::string& prefix) {
  std::string path = std::filesystem::temp_directory_path() / (prefix + "XXXXXX");
  if (mkdtemp(path.data()) == nullptr) fail("mkdtemp " + path);
  const Account account;
  if (geteuid() == 0 && chown(path.c_str(), account.user, account.group) != 0) fail("chown");
  return path;
}

ClaimedPort claim_free_port() {
  int first = 0;
  std::ifstream("/proc/sys/net/ipv4/ip_local_port_range") >> first;
  std::uniform_int_distribution<int> ports(10000, first > 20000 ? first - 1 : 65535);
  std::random_device random;
  for (int tries = 0; tries < 1000; ++tries) {
    ClaimedPort claimed;
    claimed.port = ports(random);
    claimed.claim = claim_port(claimed.port);
    if (claimed.claim >= 0) return claimed;
  }
  fail("no free port of 127.0.0.1 from 10000 on");
}

}  // namespace postback::test
