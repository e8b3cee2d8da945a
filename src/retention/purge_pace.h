// How a purge shares the database with the servers: after each piece of work it rests, a SQLite
// file that is busy is asked again, and a write-ahead log that nobody writes back is.
//
// Thread: the client's. Blocking.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>

#include "base/status.h"
#include "base/time.h"
#include "partner/sql_client.h"

namespace postback::retention {

class PurgePace {
 public:
  // Rests for so many nanoseconds; false: stop.
  using Pause = std::function<bool(uint64_t pause_ns)>;
  PurgePace(partner::SqlClient* client, const base::Clock* clock, Pause pause)
      : client_(client), clock_(clock), pause_(std::move(pause)) {}

  // Runs one transaction, which tells how many it changed, and rests. *worked_ns: its time; 0 when
  // it was not done because the pause said stop.
  base::Result<int64_t> change(const std::function<base::Result<int64_t>()>& transaction,
                               uint64_t* worked_ns);
  void rest(uint64_t worked_ns);
  bool stopped() const { return stopped_; }  // The pause said so.

 private:
  void limit_log();

  partner::SqlClient* const client_;
  const base::Clock* const clock_;
  const Pause pause_;
  bool stopped_ = false;
};

}  // namespace postback::retention
