#include "retention/stats_row.h"

#include <algorithm>
#include <cstdlib>
#include <optional>

#include "retention/purge_rows.h"
#include "store/sqlite_text.h"

namespace postback::retention {
namespace {

using base::Result;
using base::Status;
using partner::SqlResult;
using partner::SqlText;

int64_t integer_of(const SqlText& text) {
  return std::strtoll(text.value_or("0").c_str(), nullptr, 10);
}

SqlText time_of(const std::optional<int64_t>& time_us) {
  if (!time_us.has_value()) return std::nullopt;
  return time_text(*time_us);
}

// SQLite: adds what the row of the key holds. Nobody writes the file meanwhile.
Status add_stored(partner::SqlClient* client, const std::string& key,
                  const std::vector<SqlText>& minute, StoreStats* sum) {
  Result<SqlResult> found = client->query(
      std::string("SELECT ") + kStatsColumns + " FROM postback_stats WHERE " + key, minute);
  if (!found.ok()) return found.status();
  if (found.value().rows.empty()) return Status();
  return add_stats_row(found.value().rows[0], sum);
}

}  // namespace

Status add_stats_row(const partner::SqlRow& row, StoreStats* sum) {
  Decimal sale_amount;
  Decimal earning;
  if (!store::parse_sum(row[3].value_or(""), &sale_amount) ||
      !store::parse_sum(row[4].value_or(""), &earning)) {
    return Status::error(
        "postback_stats holds a sum that is not a decimal: " + row[3].value_or("NULL") + " or " +
        row[4].value_or("NULL") + "; correct it");
  }
  sum->conversion_count += integer_of(row[0]);
  sum->duplicate_count += integer_of(row[1]);
  sum->quarantined_count += integer_of(row[2]);
  sum->sale_amount.add(sale_amount);
  sum->earning.add(earning);
  int64_t time_us = 0;
  if (store::parse_time_text(row[5].value_or(""), &time_us)) {
    sum->first_conversion_at_us = std::min(sum->first_conversion_at_us.value_or(time_us), time_us);
  }
  if (store::parse_time_text(row[6].value_or(""), &time_us)) {
    sum->last_conversion_at_us = std::max(sum->last_conversion_at_us.value_or(time_us), time_us);
  }
  return Status();
}

Status add_to_stats(partner::SqlClient* client, int32_t partner_id, const std::string& minute,
                    int64_t writer, StoreStats delta) {
  // Only PostgreSQL adds decimals exactly.
  const bool is_sqlite = client->kind() == base::DatabaseKind::sqlite;
  if (is_sqlite) {
    const std::string key = "partner_id = " + std::to_string(partner_id) +
                            " AND minute = $1 AND writer = " + std::to_string(writer);
    const Status status = add_stored(client, key, {minute}, &delta);
    if (!status.ok()) return status;
  }
  const std::string sql = std::string(is_sqlite ? "INSERT OR REPLACE INTO postback_stats"
                                                : "INSERT INTO postback_stats AS s") +
                          " (partner_id, minute, writer, " + kStatsColumns +
                          ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)" +
                          (is_sqlite ? "" : kAddToStats);
  return client
      ->query(sql, {std::to_string(partner_id), minute, std::to_string(writer),
                    std::to_string(delta.conversion_count), std::to_string(delta.duplicate_count),
                    std::to_string(delta.quarantined_count), delta.sale_amount.to_string(),
                    delta.earning.to_string(), time_of(delta.first_conversion_at_us),
                    time_of(delta.last_conversion_at_us)})
      .status();
}

}  // namespace postback::retention
