#include "pg_bouncer.h"

#include <libpq-fe.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include "server_process.h"

namespace postback::test {
namespace {

constexpr const char* kProgram = "/usr/sbin/pgbouncer";
constexpr auto kReadyWaitMax = std::chrono::seconds(20);
constexpr auto kPollInterval = std::chrono::milliseconds(5);

}  // namespace

bool PgBouncer::available() {
  return access(kProgram, X_OK) == 0;
}

PgBouncer::PgBouncer(int server_port, int connections) : folder_(make_folder("postback-pool-")) {
  const ClaimedPort claimed = claim_free_port();
  port_ = claimed.port;
  port_claim_ = claimed.claim;
  const std::string file = folder_ + "/pgbouncer.ini";
  // auth_type=any logs in as the user that the database's line names.
  std::ofstream(file) << "[databases]\n* = host=127.0.0.1 port=" << server_port
                      << " user=postgres\n[pgbouncer]\nlisten_addr=127.0.0.1\nlisten_port=" << port_
                      << "\nunix_socket_dir=\nauth_type=any\npool_mode=transaction\n"
                      << "default_pool_size=" << connections << "\n";
  process_ = spawn({kProgram, file}, folder_ + "/log");
  const std::string target = url("postgres");
  const auto deadline = std::chrono::steady_clock::now() + kReadyWaitMax;
  while (PQping(target.c_str()) != PQPING_OK) {
    if (waitpid(process_, nullptr, WNOHANG) != 0) fail("PgBouncer ended, see " + folder_);
    if (std::chrono::steady_clock::now() > deadline) fail("PgBouncer does not get ready");
    std::this_thread::sleep_for(kPollInterval);
  }
}

PgBouncer::~PgBouncer() {
  kill(process_, SIGTERM);
  while (waitpid(process_, nullptr, 0) < 0 && errno == EINTR) {
  }
  ::close(port_claim_);
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

std::string PgBouncer::url(const std::string& database) const {
  return "postgresql://postgres@127.0.0.1:" + std::to_string(port_) + "/" + database;
}

}  // namespace postback::test
