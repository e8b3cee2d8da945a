#include "retention/purge_preview.h"

#include <cstdlib>

namespace postback::retention {
namespace {

using base::Result;
using partner::SqlResult;

int64_t integer_of(const partner::SqlText& text) {
  return std::strtoll(text.value_or("0").c_str(), nullptr, 10);
}

}  // namespace

Result<PurgeTime> time_of_purge(partner::SqlClient* client, int32_t partner_id,
                                const PurgeWitness& witness) {
  PurgeLease lease(client, partner_id, 0, &base::system_clock(), witness.database);
  const base::Status status = lease.read();
  if (!status.ok()) return status;
  return purge_time(evidence_of(lease, witness, true));
}

Result<PurgePreview> preview_purge(partner::SqlClient* client, const Partner& partner,
                                   const PurgeTime& time) {
  const PurgeBounds bounds(partner, time);
  const std::string of_partner = " WHERE partner_id = " + std::to_string(partner.id) + " AND id < ";
  const char* day = client->kind() == base::DatabaseKind::sqlite
                        ? "substr(received_at, 1, 10)"
                        : "to_char(received_at AT TIME ZONE 'UTC', 'YYYY-MM-DD')";
  PurgePreview preview;
  Result<SqlResult> days = client->query(
      std::string("SELECT ") + day + ", count(*) FROM partner_conversions" + of_partner +
          std::to_string(bounds.purge_below_id) +
          " AND received_at < $1 AND (purged_at IS NULL OR is_duplicate) GROUP BY 1 ORDER BY 1",
      {bounds.purge_before});
  if (!days.ok()) return days.status();
  for (const partner::SqlRow& row : days.value().rows) {
    preview.counts.purged += integer_of(row[1]);
    if (preview.first_day.empty()) preview.first_day = row[0].value_or("");
    preview.last_day = row[0].value_or("");
    ++preview.day_count;
  }
  const struct {
    const char* table;
    int64_t below_id;
    const std::string& before;
    int64_t* count;
  } others[] = {{"partner_conversions", bounds.forget_below_id, bounds.forget_before,
                 &preview.counts.forgotten},
                {"postback_quarantine", bounds.purge_below_id, bounds.purge_before,
                 &preview.counts.quarantined}};
  for (const auto& other : others) {
    Result<SqlResult> found =
        client->query(std::string("SELECT count(*) FROM ") + other.table + of_partner +
                          std::to_string(other.below_id) + " AND received_at < $1",
                      {other.before});
    if (!found.ok()) return found.status();
    *other.count = integer_of(found.value().rows[0][0]);
  }
  Result<StatsMergeCounts> stats = StatsMerge(client, partner.id, time.now_us).preview();
  if (!stats.ok()) return stats.status();
  preview.counts.stats = stats.value();
  return preview;
}

}  // namespace postback::retention
