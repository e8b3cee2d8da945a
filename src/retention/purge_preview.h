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

// By which time a purge by hand would be made now.
base::Result<PurgeTime> time_of_purge(partner::SqlClient* client, int32_t partner_id,
                                      const PurgeWitness& witness);

// `client`: opened by open_for_purge(). Reads every row that would go: allow for the time.
base::Result<PurgePreview> preview_purge(partner::SqlClient* client, const Partner& partner,
                                         const PurgeTime& time);

}  // namespace postback::retention
