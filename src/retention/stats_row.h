// Rows of postback_stats over the blocking client, for who corrects or merges them beside the
// servers that add to theirs.
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"
#include "partner/sql_client.h"
#include "postback/store.h"

namespace postback::retention {

// What a row holds beside its key (partner_id, minute, writer).
constexpr const char* kStatsColumns =
    "conversion_count, duplicate_count, quarantined_count, sale_amount, earning,"
    " first_conversion_at, last_conversion_at";

// PostgreSQL: after an INSERT INTO postback_stats AS s. Adds to the row where there is one.
constexpr const char* kAddToStats =
    " ON CONFLICT (partner_id, minute, writer) DO UPDATE SET"
    " conversion_count = s.conversion_count + excluded.conversion_count,"
    " duplicate_count = s.duplicate_count + excluded.duplicate_count,"
    " quarantined_count = s.quarantined_count + excluded.quarantined_count,"
    " sale_amount = s.sale_amount + excluded.sale_amount,"
    " earning = s.earning + excluded.earning,"
    " first_conversion_at = least(s.first_conversion_at, excluded.first_conversion_at),"
    " last_conversion_at = greatest(s.last_conversion_at, excluded.last_conversion_at)";

// Adds a row of SQLite, selected as kStatsColumns, to the sum.
base::Status add_stats_row(const partner::SqlRow& row, StoreStats* sum);

// Adds to the row of the key, which need not be there, within a transaction of the caller's.
// `minute` as time_text() gives it.
base::Status add_to_stats(partner::SqlClient* client, int32_t partner_id, const std::string& minute,
                          int64_t writer, StoreStats delta);

}  // namespace postback::retention
