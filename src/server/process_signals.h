// The signals of the process, taken by a thread of their own: SIGTERM and SIGINT ask for a stop,
// SIGHUP for a reload. A stop that is asked for during the start, which may read a long journal or
// wait for a database, ends the process at once: nothing was served yet.
//
// Made by main before any other thread; lives as long as the process.
#pragma once

#include <chrono>
#include <condition_variable>
#include <csignal>
#include <functional>
#include <mutex>

namespace postback::server {

class ProcessSignals {
 public:
  // Blocks the signals in the calling thread, and so in every thread that comes from it.
  ProcessSignals();
  ProcessSignals(const ProcessSignals&) = delete;
  ProcessSignals& operator=(const ProcessSignals&) = delete;

  // Starts the thread. The log runs.
  void start();
  // From now on a stop is left to the caller, and `reload` is called, on the thread, for every
  // SIGHUP until a stop is asked for.
  void serve(std::function<void()> reload);
  // Until a stop is asked for.
  void wait_for_stop();
  // At most for the time; true as soon as a stop is asked for once more.
  bool wait_for_another(std::chrono::seconds limit);

 private:
  void run();
  void stop_asked(int signal);

  sigset_t signals_;
  std::mutex mutex_;  // Guards what follows.
  std::condition_variable changed_;
  bool serving_ = false;
  int stop_count_ = 0;
  std::function<void()> reload_;
};

}  // namespace postback::server
