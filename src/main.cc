// postbackd: reads its settings, starts the server, waits for signals.
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#ifdef POSTBACK_MIMALLOC
#include <mimalloc.h>
#endif

#include "base/log.h"
#include "base/printable.h"
#include "base/settings.h"
#include "server/process_signals.h"
#include "server/server.h"

extern char** environ;

namespace postback {
namespace {

constexpr auto kStopLimit = std::chrono::milliseconds(7500);

int fail(const std::string& message) {
  base::log_stop();
  std::string line;  // It may quote a value from the environment, a file or a database.
  base::append_printable(&line, message);
  std::fprintf(stderr, "postbackd: %s\n", line.c_str());
  return 1;
}

// Every client is a descriptor: use all that the operator allows.
void raise_open_files_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

#ifdef POSTBACK_MIMALLOC
// Of mimalloc, which does not know std::set_new_handler: `new` aborts after this. A C library that
// gets no memory goes on, and what it was doing fails like any other attempt. Allocates nothing.
void tell_of_memory(int error, void* /*argument*/) {
  static std::atomic<bool> told{false};
  if (error != ENOMEM || told.exchange(true)) return;
  static constexpr char kText[] =
      "postbackd: out of memory; every acknowledged postback is stored or in the journal. Give it "
      "more memory: ulimit -v, MemoryMax= of systemd, the container's limit\n";
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, kText, sizeof kText - 1);
}
#endif

// A disk or database that hangs must not keep a stopped server alive: what was acknowledged is
// durable, and nothing else is owed.
void end_process_in_time() {
  std::thread([] {
    std::this_thread::sleep_for(kStopLimit);
    LOG_WARNING("server", "a database did not close in time; ending without it");
    base::log_stop();
    _exit(0);
  }).detach();
}

int run(const base::Settings& settings) {
  // Never destroyed: its thread runs until the end of the process.
  server::ProcessSignals& signals = *new server::ProcessSignals;
  raise_open_files_limit();
  base::LogOptions log;
  log.level = settings.log_level;
  log.format = settings.log_format;
  log.file = settings.log_file == "-" ? "" : settings.log_file;
  if (base::Status status = base::log_start(log); !status.ok()) return fail(status.message());
  signals.start();

  auto server = std::make_unique<server::Server>(settings);
  if (base::Status status = server->start(); !status.ok()) {
    _exit(fail(status.message()));  // Cores may be running already; nothing was acknowledged.
  }
  signals.serve([&server] { server->reload(); });
  server->serve();
  LOG_INFO("server", "postbackd " POSTBACK_VERSION " listening on http://" + settings.host + ":" +
                         std::to_string(server->port()));
  signals.wait_for_stop();
  if (settings.lame_duck_s > 0) {
    LOG_INFO("server", "not ready any more, and still serving for " +
                           std::to_string(settings.lame_duck_s) +
                           " s (LAME_DUCK_S), or until the next signal");
    server->leave();
    signals.wait_for_another(std::chrono::seconds(settings.lame_duck_s));
  }
  end_process_in_time();
  if (!server->stop()) {
    LOG_WARNING("server", "a database did not close in time; ending without it");
    base::log_stop();
    _exit(0);
  }
  server.reset();
  LOG_INFO("server", "stopped");
  base::log_stop();
  return 0;
}

int main_with(int argument_count, char** arguments) {
  const std::vector<std::string> command_line(arguments + 1, arguments + argument_count);
  std::vector<std::string> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) environment.emplace_back(*entry);
  auto read = base::read_settings(command_line, environment, {});
  if (!read.ok()) return fail(read.status().message());
  const base::SettingsResult result = read.take();
  if (result.help) {
    std::printf(
        "postbackd receives postbacks and stores each conversion once.\n\n"
        "Usage: postbackd [--setting value …]\n\n%s",
        base::settings_help().c_str());
    return 0;
  }
  if (result.version) {
    std::printf("postbackd %s\n", POSTBACK_VERSION);
    return 0;
  }
  if (!result.arguments.empty()) {
    return fail("unexpected argument '" + result.arguments.front() + "'; see postbackd --help");
  }
  return run(result.settings);
}

}  // namespace
}  // namespace postback

int main(int argument_count, char** arguments) {
#ifdef POSTBACK_MIMALLOC
  mi_register_error(postback::tell_of_memory, nullptr);
#endif
  // Databases, WAL, locks and log hold addresses and click ids: no file or folder that is made here
  // is for everybody. What the operator's own mask takes away stays away.
  umask(umask(0) | 0027);
  // Before the first use of SQLite: it counts no memory, which takes a lock for each allocation
  // (SQLITE_CONFIG_MEMSTATUS; nothing here asks for the counts). 4 % of the throughput.
  sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
  return postback::main_with(argument_count, arguments);
}
