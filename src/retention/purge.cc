#include "retention/purge.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "ingest/row_id.h"
#include "retention/limits.h"
#include "store/schema.h"

namespace postback::retention {

using base::Result;
using base::Status;
using ingest::RowIds;
using partner::SqlClient;
using partner::SqlResult;

namespace {

constexpr int64_t kLateIds = RowIds::kIdsPerUs * kLateUs;

bool may_slim(const FoundRow& row) {
  return row.is_ours && !row.is_slim;
}

bool may_remove(const FoundRow& row) {
  return row.is_ours && row.is_over;
}

// Cuts off what is behind the wanted row number `count_max`; how many wanted ones there are.
size_t cut(std::vector<FoundRow>* rows, bool (*wanted)(const FoundRow&), size_t count_max) {
  size_t count = 0;
  for (size_t i = 0; i < rows->size(); ++i) {
    count += wanted((*rows)[i]) ? 1 : 0;
    if (count == count_max) rows->resize(i + 1);
  }
  return count;
}

RowIdList ids_of(const std::vector<FoundRow>& rows, bool (*wanted)(const FoundRow&)) {
  RowIdList ids;
  for (const FoundRow& row : rows) {
    if (wanted(row)) ids.push_back(row.id);
  }
  return ids;
}

}  // namespace

PurgeBounds::PurgeBounds(const Partner& partner, const PurgeTime& time)
    : now(time_text(time.now_us)) {
  const int64_t purge_us = purge_before_us(time.now_us, partner.data_retention_days, time.gaps);
  const int64_t forget_us =
      std::min(purge_us, purge_before_us(time.now_us, partner.dedupe_retention_days, time.gaps));
  purge_before = time_text(purge_us);
  purge_below_id = RowIds::first_of(purge_us);
  forget_before = time_text(forget_us);
  forget_below_id = RowIds::first_of(forget_us);
}

Result<std::unique_ptr<SqlClient>> open_for_purge(const Partner& partner, partner::SqlMode mode,
                                                  const partner::SqlLimits& limits) {
  const std::string& url = partner.effective_database_url;
  Result<bool> exists = partner::database_exists(url, limits);
  if (!exists.ok()) return exists.status();
  if (!exists.value()) return std::unique_ptr<SqlClient>();
  Result<std::unique_ptr<SqlClient>> client = SqlClient::open(url, mode, limits);
  if (!client.ok()) return client;
  const bool is_sqlite = client.value()->kind() == base::DatabaseKind::sqlite;
  Result<SqlResult> table = client.value()->query(
      is_sqlite ? "SELECT 1 FROM sqlite_schema WHERE name = 'postback_schema'"
                : "SELECT 1 WHERE to_regclass('postback_schema') IS NOT NULL");
  if (!table.ok()) return table.status();
  if (table.value().rows.empty()) return std::unique_ptr<SqlClient>();
  Result<SqlResult> found = client.value()->query("SELECT max(version) FROM postback_schema");
  if (!found.ok()) return found.status();
  const std::string version = found.value().rows[0][0].value_or("0");
  if (version == std::to_string(store::kSchemaVersion)) return client;
  return Status::error("its database has schema version " + version + ", this program knows " +
                       std::to_string(store::kSchemaVersion) +
                       "; use the programs of one version, and start its postbackd once");
}

Purge::Purge(const Partner& partner, SqlClient* client, int64_t holder, const base::Clock* clock,
             Pause pause, PurgeWitness witness)
    : partner_(partner),
      client_(client),
      clock_(clock),
      pace_(client, clock, std::move(pause)),
      witness_(std::move(witness)),
      lease_(client, partner.id, holder, clock, witness_.database),
      rows_(client, partner.id),
      batch_rows_(kBatchRowsMax / 5) {}

Result<PurgeOutcome> Purge::run(bool only_if_due) {
  Status status = lease_.look([this](int64_t now_us) {
    return RowIds::first_of(now_us - partner_.data_retention_days * kDayUs);
  });
  if (!status.ok()) return status;
  status = find_time(!only_if_due);
  if (!status.ok()) {
    refusal_ = status.message();
    return PurgeOutcome::clock_doubted;
  }
  Result<PurgeLease::Claim> claim = lease_.claim(only_if_due);
  if (!claim.ok()) return claim.status();
  switch (claim.value()) {
    case PurgeLease::Claim::mine:
      break;
    case PurgeLease::Claim::of_another:
      return PurgeOutcome::of_another;
    case PurgeLease::Claim::not_due:
      return PurgeOutcome::not_due;
  }
  return run_claimed(only_if_due);
}

PurgeEvidence evidence_of(const PurgeLease& lease, const PurgeWitness& witness, bool by_hand) {
  PurgeEvidence evidence;
  evidence.time = witness.time();
  evidence.database_us = lease.database_us();
  evidence.as_of_us = lease.record().as_of_us;
  evidence.gaps = lease.record().gaps;
  evidence.by_hand = by_hand;
  evidence.clock_is_trusted = witness.clock_is_trusted;
  return evidence;
}

Status Purge::find_time(bool by_hand) {
  Result<PurgeTime> time = purge_time(evidence_of(lease_, witness_, by_hand));
  if (!time.ok()) return time.status();
  time_ = time.take();
  bounds_.emplace(partner_, time_);
  return Status();
}

Result<PurgeOutcome> Purge::run_claimed(bool only_if_due) {
  floor_id_ = lease_.record().floor_id;
  swept_id_ = lease_.record().swept_id;
  Status status;
  Status merged;
  if (!time_.only_begins) {
    status = run_phases(only_if_due);
    // A row of statistics that nobody can read is told, once a day. The purge is complete without.
    if (status.ok() && !pace_.stopped()) merged = merge_statistics();
  }
  if (status.ok() && !pace_.stopped()) {
    status = lease_.finish({floor_id_, swept_id_, time_.now_us, time_.gaps});
    if (status.ok() && merged.ok()) return PurgeOutcome::complete;
    if (!merged.ok()) return merged;
  }
  if (!client_->broken()) lease_.release(floor_id_);
  if (!status.ok()) return status;
  return PurgeOutcome::stopped;
}

Status Purge::run_phases(bool only_if_due) {
  const int64_t from_id = only_if_due ? std::max<int64_t>(0, floor_id_ - kLateIds) : 0;
  Status status = sweep(std::min(from_id, bounds_->purge_below_id));
  if (status.ok()) {
    status = walk(PurgeRows::Table::conversions, from_id, bounds_->purge_below_id,
                  bounds_->purge_before, may_slim, [this](const Rows& rows) { return slim(rows); });
  }
  if (status.ok() && !pace_.stopped() && !floor_stays_) {
    floor_id_ = std::max(floor_id_, bounds_->purge_below_id);
  }
  if (status.ok()) {
    status =
        walk(PurgeRows::Table::conversions, 0, bounds_->forget_below_id, bounds_->forget_before,
             may_remove, [this](const Rows& rows) { return forget(rows); });
  }
  if (status.ok()) {
    status = walk(PurgeRows::Table::quarantine, 0, bounds_->purge_below_id, bounds_->purge_before,
                  may_remove, [this](const Rows& rows) { return remove_quarantined(rows); });
  }
  return status;
}

// Rows that came far too late, among those of earlier purges. What a day leaves is for the next.
Status Purge::sweep(int64_t end_id) {
  Extent extent{kSweepRowsMax};
  const int64_t from_id = swept_id_ < end_id ? swept_id_ : 0;
  const Status status = walk(
      PurgeRows::Table::conversions, from_id, end_id, bounds_->purge_before, may_slim,
      [this](const Rows& rows) { return slim(rows); }, &extent);
  swept_id_ = extent.to_the_end ? 0 : extent.after_id + 1;
  return status;
}

Status Purge::merge_statistics() {
  StatsMerge stats(client_, partner_.id, time_.now_us);
  return stats.run(
      &pace_, clock_, [this](Status* kept) { return may_go_on(kept); }, &counts_.stats);
}

// Upwards through the ids, with a bounded number of wanted rows at a time, and of rows. The fewer
// are wanted, the more are looked at.
Status Purge::walk(PurgeRows::Table table, int64_t from_id, int64_t end_id,
                   const std::string& before, Wanted wanted, const Handle& handle, Extent* extent) {
  Extent without_end{SIZE_MAX};
  if (extent == nullptr) extent = &without_end;
  int64_t after_id = from_id - 1;
  extent->after_id = after_id;
  size_t look_rows = batch_rows_;
  Status status;
  while (extent->rows_left > 0 && !pace_.stopped() && may_go_on(&status)) {
    const uint64_t began_ns = clock_->monotonic_ns();
    Result<Rows> found = rows_.find(table, after_id, end_id, before, look_rows);
    if (!found.ok()) return found.status();
    Rows& rows = found.value();
    extent->to_the_end = rows.empty();
    if (rows.empty()) break;
    pace_.rest(clock_->monotonic_ns() - began_ns);
    const bool full = cut(&rows, wanted, batch_rows_) == batch_rows_;
    status = handle(rows);
    if (!status.ok()) break;
    after_id = rows.back().id;
    extent->after_id = after_id;
    extent->rows_left -= std::min(extent->rows_left, rows.size());
    look_rows = std::clamp(full ? rows.size() : look_rows * 2, batch_rows_, kLookRowsMax);
  }
  return status;
}

// Whether the partner is still ours to purge.
bool Purge::may_go_on(Status* status) {
  Result<bool> kept = lease_.keep(floor_id_);
  if (!kept.ok()) {
    *status = kept.status();
  } else if (!kept.value()) {
    *status = Status::error("another program took over its purge; it goes on there");
  }
  return status->ok();
}

Status Purge::slim(const Rows& rows) {
  RowIdList ids;
  RowIdList extra;
  int64_t kept_id = 0;
  for (const FoundRow& row : rows) {
    if (!row.is_ours) continue;
    if (!row.is_over) {
      // An id of the past and a time of receipt of today: imported by hand. Pages show it.
      if (kept_id == 0) kept_id = row.id;
    } else if (row.is_extra) {
      extra.push_back(row.id);
    } else if (!row.is_slim) {
      ids.push_back(row.id);
    }
  }
  Status status;
  for (const RowIdList& part : rows_.slim_parts(ids)) {
    if (pace_.stopped() || !status.ok()) return status;
    status = change([&] { return rows_.slim(part, bounds_->purge_before, bounds_->now); },
                    &counts_.purged);
  }
  if (!extra.empty() && status.ok() && !pace_.stopped()) {
    status =
        change([&] { return rows_.remove_extra(extra, bounds_->purge_before); }, &counts_.purged);
  }
  if (!status.ok() || pace_.stopped() || floor_stays_) return status;
  floor_stays_ = kept_id != 0;
  floor_id_ = floor_stays_ ? kept_id : std::max(floor_id_, rows.back().id + 1);
  return status;
}

Status Purge::forget(const Rows& rows) {
  const RowIdList ids = ids_of(rows, may_remove);
  if (ids.empty()) return Status();
  return change([&] { return rows_.forget(ids, bounds_->forget_before); }, &counts_.forgotten);
}

Status Purge::remove_quarantined(const Rows& rows) {
  const RowIdList ids = ids_of(rows, may_remove);
  if (ids.empty()) return Status();
  return change([&] { return rows_.remove_quarantined(ids, bounds_->purge_before); },
                &counts_.quarantined);
}

// Runs one transaction, adapts the size of the batches to the time it took, and rests.
Status Purge::change(const std::function<Result<int64_t>()>& transaction, int64_t* count) {
  uint64_t worked_ns = 0;
  Result<int64_t> changed = pace_.change(transaction, &worked_ns);
  if (!changed.ok()) return changed.status();
  *count += changed.value();
  const uint64_t fitting = batch_rows_ * kBatchTargetNs / std::max<uint64_t>(worked_ns, 1);
  batch_rows_ = std::clamp<size_t>(std::min<uint64_t>(fitting, batch_rows_ * 2), kBatchRowsMin,
                                   kBatchRowsMax);
  return Status();
}

}  // namespace postback::retention
