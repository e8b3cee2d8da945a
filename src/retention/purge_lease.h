// A partner's row of postback_purge: at most one program purges a partner at a time, whether it is
// a server or postbackctl; a purge that was interrupted is known to be incomplete; and pages of
// conversions end at the floor. Kept in the table and not by a lock of the database, which
// PgBouncer would give to somebody else's session.
//
// Thread: the client's. Blocking.
#pragma once

#include <cstdint>

#include "base/status.h"
#include "base/time.h"
#include "partner/sql_client.h"

namespace postback::retention {

class PurgeLease {
 public:
  // `holder`: a random number, never 0. All outlive the lease.
  PurgeLease(partner::SqlClient* client, int32_t partner_id, int64_t holder,
             const base::Clock* clock)
      : client_(client), partner_id_(partner_id), holder_(holder), clock_(clock) {}

  enum class Claim : uint8_t {
    mine,
    of_another,  // Somebody else purges this partner now.
    not_due,     // The last purge was complete less than a day ago.
  };
  base::Result<Claim> claim(bool only_if_due);
  int64_t floor_id() const { return floor_id_; }  // As the claim found it.

  // To be called before each batch: renews the lease when it is time. `floor_id`: every row of the
  // partner below it is purged; never moves back. False when another has taken over.
  base::Result<bool> keep(int64_t floor_id);
  // The purge is complete. The floor may move back here: a row below it is kept still.
  base::Status finish(int64_t floor_id);
  // The purge ends early; another may go on at once, from the floor. Errors are of no consequence.
  void release(int64_t floor_id);

 private:
  base::Result<int64_t> write(const std::string& sql, const std::vector<partner::SqlText>& values);

  partner::SqlClient* client_;
  int32_t partner_id_;
  int64_t holder_;
  const base::Clock* clock_;
  int64_t floor_id_ = 0;
  int64_t renewed_at_us_ = 0;
};

}  // namespace postback::retention
