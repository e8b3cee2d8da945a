#include "server/process_signals.h"

#include <pthread.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <thread>
#include <utility>

#include "base/log.h"

namespace postback::server {

ProcessSignals::ProcessSignals() {
  std::signal(SIGPIPE, SIG_IGN);
  // Past a limit on file sizes (ulimit -f) a write fails with EFBIG, which is an error like others.
  std::signal(SIGXFSZ, SIG_IGN);
  sigemptyset(&signals_);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals_, signal);
  pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
}

void ProcessSignals::start() {
  std::thread([this] { run(); }).detach();
}

void ProcessSignals::run() {
  pthread_setname_np(pthread_self(), "signals");
  while (true) {
    int signal = 0;
    if (sigwait(&signals_, &signal) != 0) continue;
    if (signal != SIGHUP) {
      stop_asked(signal);
      continue;
    }
    LOG_INFO("server", "reloading: partners and log file");
    base::log_reopen();
    const std::lock_guard lock(mutex_);
    if (serving_ && stop_count_ == 0) reload_();
  }
}

void ProcessSignals::stop_asked(int signal) {
  const std::lock_guard lock(mutex_);
  if (!serving_) {
    LOG_INFO("server", std::string("ending on ") + strsignal(signal) +
                           " before the start was done; nothing was served");
    base::log_stop();
    _exit(0);  // With the mutex held: serve() waits, and nothing is accepted.
  }
  ++stop_count_;
  LOG_INFO("server", std::string("stopping on ") + strsignal(signal));
  changed_.notify_all();
}

void ProcessSignals::serve(std::function<void()> reload) {
  const std::lock_guard lock(mutex_);
  reload_ = std::move(reload);
  serving_ = true;
}

void ProcessSignals::wait_for_stop() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return stop_count_ > 0; });
}

bool ProcessSignals::wait_for_another(std::chrono::seconds limit) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, limit, [this] { return stop_count_ > 1; });
}

}  // namespace postback::server
