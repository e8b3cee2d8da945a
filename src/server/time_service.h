// The time of this process: looks at the clocks once a second, keeps the mark of the time guard in
// DATA_DIR, sets the clock of the cores by what is believed, and tells the operator when the clock
// cannot be. Owned by the server, before everything that has a clock.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/guarded_clock.h"
#include "base/time_guard.h"

namespace postback::server {

class TimeService {
 public:
  // Looks once on the calling thread, so that the clock is set from then on.
  explicit TimeService(std::string data_dir);
  ~TimeService();  // Ends the thread and keeps the mark.
  TimeService(const TimeService&) = delete;
  TimeService& operator=(const TimeService&) = delete;

  void start();
  const base::Clock* clock() const { return &clock_; }
  // What the control database server's clock said just now. Any thread; takes effect at once.
  void set_database_time(int64_t database_us);
  base::TimeView view() const;  // Any thread.

 private:
  void run();
  void look();            // With the mutex held.
  void tell();            // Likewise.
  void keep(bool force);  // Takes the mutex for a copy; writes without it.

  const std::string data_dir_;
  base::GuardedClock clock_;
  std::thread thread_;
  std::string keep_error_;  // Of the thread, as is the next.
  int64_t kept_boot_us_ = 0;

  mutable std::mutex mutex_;  // Guards what follows.
  std::condition_variable changed_;
  bool stopping_ = false;
  bool keep_now_ = false;
  base::TimeGuard guard_;
  std::optional<int64_t> database_ahead_us_;  // Of its clock to CLOCK_BOOTTIME …
  int64_t database_seen_us_ = 0;              // … as seen then.
  base::ClockState told_ = base::ClockState::agreed;
  int64_t told_boot_us_ = 0;
};

}  // namespace postback::server
