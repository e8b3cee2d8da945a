#include "postgres_server.h"

#include <dirent.h>
#include <libpq-fe.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "server_process.h"

namespace postback::test {
namespace {

constexpr auto kReadyWaitMax = std::chrono::seconds(60);
constexpr auto kPollInterval = std::chrono::milliseconds(5);

// The newest installed version's programs, or "" when there are none.
std::string program_folder() {
  std::string newest;
  int newest_version = 0;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/usr/lib/postgresql", error)) {
    const int version = std::atoi(entry.path().filename().c_str());
    if (version > newest_version && std::filesystem::exists(entry.path() / "bin/postgres")) {
      newest_version = version;
      newest = entry.path() / "bin";
    }
  }
  return newest;
}

bool run(const std::vector<std::string>& arguments, const std::string& log) {
  const pid_t child = spawn(arguments, log);
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) fail("waitpid");
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// A cluster to copy from. Made under another name and renamed, so that programs that run at the
// same time never see half of one; whoever comes second throws its own away.
std::string template_folder() {
  const Account account;
  const std::string programs = program_folder();
  const std::string version = std::filesystem::path(programs).parent_path().filename();
  const std::string path = std::filesystem::temp_directory_path() /
                           ("postback-test-cluster-" + version + "-" + std::to_string(geteuid()));
  struct stat found {};
  if (lstat(path.c_str(), &found) == 0) {
    // The folder has a guessable name: it must be our own.
    if (!S_ISDIR(found.st_mode) || found.st_uid != account.user) fail(path + " is not ours");
    return path;
  }
  const std::string made = make_folder("postback-initdb-");
  const std::string log = made + "/initdb.log";
  if (!run({programs + "/initdb", "-D", made + "/data", "-U", "postgres", "-A", "trust", "-E",
            "UTF8", "--locale=C", "--no-sync"},
           log)) {
    fail("initdb failed, see " + log);
  }
  if (rename((made + "/data").c_str(), path.c_str()) != 0 && errno != ENOTEMPTY &&
      errno != EEXIST) {
    fail("rename to " + path);
  }
  std::filesystem::remove_all(made);
  return path;
}

struct ProcessStatus {
  char state = 'X';  // 'X': there is no such process. 'Z': ended, not yet waited for.
  pid_t parent = -1;
};

// From /proc/PID/stat: "PID (NAME) STATE PARENT …".
ProcessStatus process_status(pid_t process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/stat");
  std::string line;
  std::getline(file, line);
  const size_t name_end = line.rfind(')');
  if (name_end == std::string::npos || name_end + 4 > line.size()) return {};
  return {line[name_end + 2], std::atoi(line.c_str() + name_end + 4)};
}

bool has_ended(pid_t process) {
  const char state = process_status(process).state;
  return state == 'X' || state == 'Z';
}

}  // namespace

bool PostgresServer::available() {
  return !program_folder().empty();
}

PostgresServer::PostgresServer(const PostgresOptions& options) : options_(options) {
  if (!available()) fail("PostgreSQL is not installed");
  make_cluster();
  start();
}

std::unique_ptr<PostgresServer> PostgresServer::standby_of(const PostgresServer& primary) {
  std::unique_ptr<PostgresServer> standby(new PostgresServer(Empty{}));
  standby->folder_ = make_folder("postback-standby-");
  if (!run({program_folder() + "/pg_basebackup", "-h", "127.0.0.1", "-p",
            std::to_string(primary.port()), "-U", "postgres", "-D", standby->folder_ + "/data",
            "-R", "-c", "fast", "--no-sync"},
           standby->folder_ + "/log")) {
    fail("pg_basebackup, see " + standby->folder_);
  }
  standby->claim_free_port();
  standby->start();
  return standby;
}

void PostgresServer::promote() {
  query("postgres", "SELECT pg_promote(true, 60)");
}

PostgresServer::~PostgresServer() {
  if (postmaster_ > 0) {
    resume();
    stop_immediate();
  }
  ::close(port_claim_);
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

void PostgresServer::make_cluster() {
  const std::string source = template_folder();
  folder_ = make_folder("postback-pg-");
  if (!run({"/bin/cp", "-a", source, folder_ + "/data"}, folder_ + "/log")) fail("cp");
  claim_free_port();
}

void PostgresServer::claim_free_port() {
  const ClaimedPort claimed = test::claim_free_port();
  port_ = claimed.port;
  port_claim_ = claimed.claim;
}

void PostgresServer::start() {
  start_without_waiting();
  wait_ready();
}

void PostgresServer::start_without_waiting() {
  std::vector<std::string> arguments = {program_folder() + "/postgres", "-D", folder_ + "/data"};
  std::vector<std::string> settings = {
      "port=" + std::to_string(port_),
      "listen_addresses=127.0.0.1",
      "unix_socket_directories=" + folder_,
      "max_connections=60",
      "shared_buffers=32MB",
      std::string("fsync=") + (options_.durable ? "on" : "off"),
  };
  settings.insert(settings.end(), options_.settings.begin(), options_.settings.end());
  for (const std::string& setting : settings) {
    arguments.push_back("-c");
    arguments.push_back(setting);
  }
  postmaster_ = spawn(arguments, folder_ + "/log");
}

void PostgresServer::wait_ready() const {
  const std::string target = url("postgres");
  const auto deadline = std::chrono::steady_clock::now() + kReadyWaitMax;
  while (PQping(target.c_str()) != PQPING_OK) {
    if (waitpid(postmaster_, nullptr, WNOHANG) != 0) fail("the server ended, see " + folder_);
    if (std::chrono::steady_clock::now() > deadline) fail("the server does not get ready");
    std::this_thread::sleep_for(kPollInterval);
  }
}

void PostgresServer::wait_ended() {
  while (waitpid(postmaster_, nullptr, 0) < 0) {
    if (errno != EINTR) fail("waitpid");
  }
  postmaster_ = -1;
}

void PostgresServer::stop() {
  kill(postmaster_, SIGINT);
  wait_ended();
}

void PostgresServer::stop_immediate() {
  kill(postmaster_, SIGQUIT);
  wait_ended();
}

void PostgresServer::kill_hard() {
  // The parent first, or it would see its children die and start recovery.
  kill(postmaster_, SIGSTOP);
  const std::vector<pid_t> all = processes();
  for (const pid_t process : all) kill(process, SIGKILL);
  wait_ended();
  // The next start refuses while an old backend still holds the shared memory.
  for (const pid_t process : all) {
    while (!has_ended(process)) std::this_thread::sleep_for(kPollInterval);
  }
}

void PostgresServer::pause() {
  kill(postmaster_, SIGSTOP);  // First, so that it makes no new children.
  for (const pid_t process : processes()) kill(process, SIGSTOP);
}

void PostgresServer::resume() {
  for (const pid_t process : processes()) kill(process, SIGCONT);
}

std::vector<pid_t> PostgresServer::processes() const {
  std::vector<pid_t> found = {postmaster_};
  DIR* directory = opendir("/proc");
  if (directory == nullptr) fail("/proc");
  while (const dirent* entry = readdir(directory)) {
    const pid_t process = std::atoi(entry->d_name);
    if (process > 0 && process_status(process).parent == postmaster_) found.push_back(process);
  }
  closedir(directory);
  return found;
}

std::string PostgresServer::url(const std::string& database) const {
  return "postgresql://postgres@127.0.0.1:" + std::to_string(port_) + "/" + database;
}

std::string PostgresServer::socket_url(const std::string& database) const {
  return "postgresql:///" + database + "?user=postgres&host=" + folder_ +
         "&port=" + std::to_string(port_);
}

PostgresServer::Rows PostgresServer::query(const std::string& database,
                                           const std::string& sql) const {
  PGconn* connection = PQconnectdb(url(database).c_str());
  PGresult* result = PQexec(connection, sql.c_str());
  const ExecStatusType status = PQresultStatus(result);
  if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
    fail(sql + ": " + PQerrorMessage(connection));
  }
  Rows rows(static_cast<size_t>(PQntuples(result)));
  for (int row = 0; row < PQntuples(result); ++row) {
    for (int column = 0; column < PQnfields(result); ++column) {
      const bool null = PQgetisnull(result, row, column) != 0;
      rows[static_cast<size_t>(row)].emplace_back(null ? "NULL" : PQgetvalue(result, row, column));
    }
  }
  PQclear(result);
  PQfinish(connection);
  return rows;
}

std::string PostgresServer::value(const std::string& database, const std::string& sql) const {
  const Rows rows = query(database, sql);
  return rows.empty() || rows[0].empty() ? "" : rows[0][0];
}

void PostgresServer::create_database(const std::string& name) const {
  query("postgres", "CREATE DATABASE \"" + name + "\"");
}

}  // namespace postback::test
