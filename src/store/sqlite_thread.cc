#include "store/sqlite_thread.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

#include <system_error>

namespace postback::store {

void SqliteThread::post(SqliteJob* job) {
  if (!started() && !start()) {
    job->result = SqliteResult::unavailable;
    job->error = "the system refused to start a thread for the SQLite database";
    reply(job);
    return;
  }
  job->receiver = this;
  mailbox_.post(*job);
}

bool SqliteThread::start() {
  const std::lock_guard lock(start_mutex_);
  if (started_.load(std::memory_order_relaxed)) return true;
  // The thread inherits a full signal mask: signals are for the threads of main and the cores.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    thread_ = std::thread([this] { run(); });
    started_.store(true, std::memory_order_release);
  } catch (const std::system_error&) {
    // EAGAIN: over the limit of threads. started_ stays false; the next job tries again.
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return started_.load(std::memory_order_relaxed);
}

void SqliteThread::stop() {
  if (!thread_.joinable()) return;
  stop_message_.receiver = this;
  mailbox_.post(stop_message_);
  thread_.join();
}

void SqliteThread::run() {
  pthread_setname_np(pthread_self(), name_);
  // Linux: of this thread alone. A system that refuses it is served as well.
  if (niceness_ != 0) setpriority(PRIO_PROCESS, 0, niceness_);
  while (!stopping_) {
    mailbox_.wait();
    collect();
    while (!waiting_.empty()) {
      serve();
      collect();
      if (waiting_.empty()) idle();
    }
  }
}

void SqliteThread::receive(Message& message) {
  if (&message == &stop_message_) {
    stopping_ = true;
  } else {
    waiting_.push_back(static_cast<SqliteJob*>(&message));
  }
}

}  // namespace postback::store
