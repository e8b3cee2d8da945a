// What a purge would do now, counted without changing anything. Blocking.
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"
#include "partner/sql_client.h"
#include "postback/partner.h"
#include "retention/purge.h"

namespace postback::retention {

struct PurgePreview {
  PurgeCounts counts;
  // The UTC dates ("2026-10-01") of the first and the last conversion that would be purged; empty
  // without any. day_count: of the days on which such conversions were received.
  std::string first_day;
  std::string last_day;
  int64_t day_count = 0;
};

// `client`: opened by open_for_purge(). Reads every row that would go: allow for the time.
base::Result<PurgePreview> preview_purge(partner::SqlClient* client, const Partner& partner,
                                         int64_t now_us);

}  // namespace postback::retention
