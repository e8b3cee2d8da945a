// A partner's row of postback_purge: at most one program purges a partner at a time, whether it is
// a server or postbackctl; a purge that was interrupted is known to be incomplete; and pages of
// conversions end at the floor. Kept in the table and not by a lock of the database, which
// PgBouncer would give to somebody else's session.
//
// In PostgreSQL its times are those of the database server's clock, which all programs share. A
// time or a floor in the future was written by a clock that was wrong: it is taken for none.
//
// Thread: the client's. Blocking.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "base/status.h"
#include "base/time.h"
#include "partner/sql_client.h"
#include "retention/purge_time.h"

namespace postback::retention {

// What one purge leaves to the next.
struct PurgeRecord {
  int64_t floor_id = 0;  // Every row of the partner below it is purged.
  int64_t swept_id = 0;  // Where the look below the floor goes on.
  std::optional<int64_t> as_of_us;
  PurgeGaps gaps;
};

// What the clock of the client's database server says; none for SQLite.
base::Result<std::optional<int64_t>> database_time(partner::SqlClient* client);
using DatabaseTime = decltype(&database_time);

class PurgeLease {
 public:
  // `holder`: a random number, never 0. All outlive the lease.
  PurgeLease(partner::SqlClient* client, int32_t partner_id, int64_t holder,
             const base::Clock* clock, DatabaseTime database_time)
      : client_(client),
        partner_id_(partner_id),
        holder_(holder),
        clock_(clock),
        database_time_(database_time) {}

  // First of all: reads the row. A floor in the future is set back to `floor_id_max` of that time,
  // at once, since it hides rows from readers.
  using FloorMax = std::function<int64_t(int64_t now_us)>;
  base::Status look(const FloorMax& floor_id_max);
  base::Status read();  // The same without writing.
  const PurgeRecord& record() const { return record_; }
  std::optional<int64_t> database_us() const { return database_us_; }

  enum class Claim : uint8_t {
    mine,
    of_another,  // Somebody else purges this partner now.
    not_due,     // The last purge was complete less than a day ago.
  };
  base::Result<Claim> claim(bool only_if_due);

  // To be called before each batch: renews the lease when it is time. `floor_id`: every row of the
  // partner below it is purged; never moves back. False when another has taken over.
  base::Result<bool> keep(int64_t floor_id);
  // The purge is complete. The floor may move back here: a row below it is kept still.
  base::Status finish(const PurgeRecord& record);
  // The purge ends early; another may go on at once, from the floor. Errors are of no consequence.
  void release(int64_t floor_id);

 private:
  int64_t now_us() const { return clock_->wall_us() + ahead_us_; }
  std::string of_row() const;
  base::Result<int64_t> write(const std::string& sql, const std::vector<partner::SqlText>& values);

  partner::SqlClient* client_;
  int32_t partner_id_;
  int64_t holder_;
  const base::Clock* clock_;
  DatabaseTime database_time_;
  std::optional<int64_t> database_us_;
  int64_t ahead_us_ = 0;  // Of the database server's clock to ours.
  bool found_ = false;    // The row is there.
  std::optional<int64_t> finished_us_;
  PurgeRecord record_;
  int64_t renewed_at_us_ = 0;
};

}  // namespace postback::retention
