// A thread that serves the jobs posted to its mailbox. It starts with the first job, since many
// databases are named long before a postback comes for them, and ends in stop().
#pragma once

#include <atomic>
#include <deque>
#include <mutex>
#include <thread>

#include "io/mailbox.h"
#include "postback/message.h"
#include "store/sqlite_job.h"

namespace postback::store {

class SqliteThread : private MessageReceiver {
 public:
  explicit SqliteThread(const char* name, int niceness = 0) : name_(name), niceness_(niceness) {}
  SqliteThread(const SqliteThread&) = delete;
  SqliteThread& operator=(const SqliteThread&) = delete;

  // Any thread: whether a job was ever posted.
  bool started() const { return started_.load(std::memory_order_acquire); }
  // Any thread. When the system refuses a thread, the job comes back unavailable.
  void post(SqliteJob* job);

 protected:
  ~SqliteThread() = default;
  // Not from the thread itself. Jobs posted before are served; joins.
  void stop();

  // On the thread: serves some of waiting() from the front; called again while any are left.
  virtual void serve() = 0;
  // On the thread: nothing waits.
  virtual void idle() {}

  // On the thread: the jobs not yet served, oldest first. Bounded by what the stores may have
  // outstanding.
  std::deque<SqliteJob*>& waiting() { return waiting_; }
  // On the thread: adds what was posted meanwhile.
  void collect() { mailbox_.drain(); }

 private:
  bool start();
  void run();
  void receive(Message& message) final;

  const char* const name_;  // At most 15 bytes, as the kernel shows it.
  const int niceness_;      // Of the thread, see setpriority(2).
  io::Mailbox mailbox_{nullptr};
  std::deque<SqliteJob*> waiting_;
  Message stop_message_;
  bool stopping_ = false;
  std::mutex start_mutex_;  // Held while the thread is being made, never after.
  std::atomic<bool> started_ = false;
  std::thread thread_;
};

}  // namespace postback::store
