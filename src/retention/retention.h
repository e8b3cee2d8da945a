// The daily purge of every partner, on a thread of its own with connections of its own. One partner
// after the other. Looks once an hour, and soon after the start, whether a partner is due: when its
// last purge was complete is told by its database, so it neither depends on how long a server lives
// nor happens twice when there are several.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "base/time.h"
#include "base/time_guard.h"
#include "partner/partner_table.h"

namespace postback::retention {

struct RetentionCounters {
  int64_t purged_rows = 0;  // Conversions purged, quarantined postbacks deleted, ids forgotten.
  int64_t looks = 0;        // Partners looked at, whether they were due or not.
  int64_t doubted = 0;      // Partners that are not purged now, because clocks contradict.
};

class Retention {
 public:
  // `time`: what is believed of the clock; called on the thread that purges.
  Retention(const base::Clock* clock, std::function<base::TimeView()> time);
  // Ends the thread: the transaction under way, which is rolled back or complete then, is waited
  // for. A database that hangs is waited for as long as the process may take to end.
  ~Retention();
  Retention(const Retention&) = delete;
  Retention& operator=(const Retention&) = delete;

  void start();
  // The partners from now on. Any thread.
  void set_partners(std::shared_ptr<const partner::PartnerTable> partners);
  // Asks the thread to end, and returns at once. Any thread.
  void stop();
  RetentionCounters counters() const;  // Since the start, of all partners. Any thread.

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace postback::retention
