#include "retention/purge_lease.h"

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "retention/limits.h"
#include "retention/purge_rows.h"

namespace postback::retention {

using base::Result;
using base::Status;
using partner::SqlResult;

// One statement in a transaction of its own; the number of rows it changed.
Result<int64_t> PurgeLease::write(const std::string& sql,
                                  const std::vector<partner::SqlText>& values) {
  partner::SqlTransaction transaction(client_);
  Status status = transaction.begin();
  if (!status.ok()) return status;
  Result<SqlResult> written = client_->query(sql, values);
  if (!written.ok()) return written.status();
  status = transaction.commit();
  if (!status.ok()) return status;
  return written.value().changed_count;
}

Result<PurgeLease::Claim> PurgeLease::claim(bool only_if_due) {
  const std::string id = std::to_string(partner_id_);
  const int64_t now_us = clock_->wall_us();
  Result<SqlResult> found = client_->query(
      "SELECT floor_id, CASE WHEN finished_at > $1 THEN 1 ELSE 0 END FROM postback_purge"
      " WHERE partner_id = " +
          id,
      {time_text(now_us - kDueAfterUs)});
  if (!found.ok()) return found.status();
  if (found.value().rows.empty()) {
    Result<int64_t> made = write(
        "INSERT INTO postback_purge (partner_id) VALUES (" + id + ") ON CONFLICT DO NOTHING", {});
    if (!made.ok()) return made.status();
  } else {
    const partner::SqlRow& row = found.value().rows[0];
    floor_id_ = std::strtoll(row[0].value_or("0").c_str(), nullptr, 10);
    if (only_if_due && row[1] == "1") return Claim::not_due;
  }
  Result<int64_t> claimed = write("UPDATE postback_purge SET holder = " + std::to_string(holder_) +
                                      ", held_until = $1 WHERE partner_id = " + id +
                                      " AND (held_until IS NULL OR"
                                      " held_until < $2 OR holder = " +
                                      std::to_string(holder_) + ")",
                                  {time_text(now_us + kLeaseUs), time_text(now_us)});
  if (!claimed.ok()) return claimed.status();
  renewed_at_us_ = now_us;
  return claimed.value() == 1 ? Claim::mine : Claim::of_another;
}

Result<bool> PurgeLease::keep(int64_t floor_id) {
  const int64_t now_us = clock_->wall_us();
  if (now_us - renewed_at_us_ < kLeaseRenewUs && now_us >= renewed_at_us_) return true;
  floor_id_ = std::max(floor_id_, floor_id);
  Result<int64_t> kept =
      write("UPDATE postback_purge SET held_until = $1, floor_id = " + std::to_string(floor_id_) +
                " WHERE partner_id = " + std::to_string(partner_id_) +
                " AND holder = " + std::to_string(holder_),
            {time_text(now_us + kLeaseUs)});
  if (!kept.ok()) return kept.status();
  renewed_at_us_ = now_us;
  return kept.value() == 1;
}

Status PurgeLease::finish(int64_t floor_id) {
  const std::string now = time_text(clock_->wall_us());
  return write("UPDATE postback_purge SET held_until = NULL, finished_at = $1, floor_id = " +
                   std::to_string(floor_id) + " WHERE partner_id = " + std::to_string(partner_id_) +
                   " AND holder = " + std::to_string(holder_),
               {now})
      .status();
}

void PurgeLease::release(int64_t floor_id) {
  floor_id_ = std::max(floor_id_, floor_id);
  (void)write("UPDATE postback_purge SET held_until = NULL, floor_id = " +
                  std::to_string(floor_id_) + " WHERE partner_id = " + std::to_string(partner_id_) +
                  " AND holder = " + std::to_string(holder_),
              {});
}

}  // namespace postback::retention
