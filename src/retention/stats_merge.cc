#include "retention/stats_merge.h"

#include <cstdlib>

#include "retention/limits.h"
#include "retention/purge_rows.h"
#include "retention/stats_row.h"
#include "store/sqlite_text.h"

namespace postback::retention {

using base::Result;
using base::Status;
using partner::SqlResult;
using partner::SqlRow;
using partner::SqlText;

namespace {

// A day's rows are merged into hours before: of what an hour left only its merged row counts, and
// that of the first hour is the day's.
bool is_to_merge(StatsLevel level, int64_t minute_us, int64_t writer) {
  if (level == StatsLevel::hour) {
    return writer != kMergedWriter || minute_us != stats_floor_us(StatsLevel::hour, minute_us);
  }
  return stats_floor_us(StatsLevel::hour, minute_us) != stats_floor_us(StatsLevel::day, minute_us);
}

std::string sums_of(const SqlRow& row) {
  return "a sum that is no decimal: " + row[3].value_or("NULL") + " or " + row[4].value_or("NULL");
}

int64_t end_of(StatsLevel level, int64_t start_us) {
  return start_us + (level == StatsLevel::hour ? kHourUs : kDayUs);
}

}  // namespace

StatsMerge::StatsMerge(partner::SqlClient* client, int32_t partner_id, int64_t now_us)
    : client_(client),
      partner_id_(partner_id),
      now_us_(now_us),
      of_range_(" FROM postback_stats WHERE partner_id = " + std::to_string(partner_id) +
                " AND minute >= $1 AND minute < $2"),
      is_sqlite_(client->kind() == base::DatabaseKind::sqlite) {}

// Hours first, also of days to be merged: a transaction has the rows of one hour, or the 24 of a
// day, even where years of minutes are to be merged.
Status StatsMerge::run(PurgePace* pace, const base::Clock* clock, const MayGoOn& may_go_on,
                       StatsMergeCounts* counts) {
  Status status = run_level(StatsLevel::hour, pace, clock, may_go_on, &counts->hours);
  if (status.ok()) status = run_level(StatsLevel::day, pace, clock, may_go_on, &counts->days);
  return status.ok() ? unreadable_ : status;
}

Status StatsMerge::unreadable(const std::string& what) {
  ++unreadable_count_;
  const Status status = Status::error("postback_stats holds " + what + "; correct it");
  if (unreadable_.ok()) unreadable_ = status;
  return status;
}

Status StatsMerge::run_level(StatsLevel level, PurgePace* pace, const base::Clock* clock,
                             const MayGoOn& may_go_on, int64_t* count) {
  Status status;
  Page page;
  while (!page.is_last && !pace->stopped() && may_go_on(&status)) {
    const uint64_t began_ns = clock->monotonic_ns();
    Result<Page> found = find(level, page.next_us);
    if (!found.ok()) return found.status();
    page = found.take();
    pace->rest(clock->monotonic_ns() - began_ns);
    for (const int64_t start_us : page.starts) {
      if (pace->stopped() || !may_go_on(&status)) return status;
      uint64_t worked_ns = 0;
      const int64_t unreadable_before = unreadable_count_;
      Result<int64_t> merged = pace->change([&] { return merge(level, start_us); }, &worked_ns);
      if (!merged.ok() && unreadable_count_ == unreadable_before) return merged.status();
      if (merged.ok()) *count += merged.value();
    }
  }
  return status;
}

Result<StatsMergeCounts> StatsMerge::preview() {
  StatsMergeCounts counts;
  for (const StatsLevel level : {StatsLevel::hour, StatsLevel::day}) {
    Page page;
    while (!page.is_last) {
      Result<Page> found = find(level, page.next_us);
      if (!found.ok()) return found.status();
      page = found.take();
      const auto count = static_cast<int64_t>(page.starts.size());
      (level == StatsLevel::hour ? counts.hours : counts.days) += count;
    }
  }
  return counts;
}

Result<StatsMerge::Page> StatsMerge::find(StatsLevel level, int64_t from_us) {
  const char* minute = is_sqlite_ ? "minute" : "(extract(epoch FROM minute) * 1000000)::int8";
  const std::string sql = std::string("SELECT ") + minute + ", writer" + of_range_ +
                          " ORDER BY minute, writer LIMIT " + std::to_string(kBatchRowsMax);
  partner::SqlTransaction transaction(client_);
  if (!is_sqlite_) {  // A SQLite transaction would keep the server from writing.
    const Status status = begin_purge(&transaction, client_);
    if (!status.ok()) return status;
  }
  Result<SqlResult> found =
      client_->query(sql, {time_text(from_us), time_text(stats_merge_before_us(level, now_us_))});
  if (!found.ok()) return found.status();
  Page page;
  page.is_last = found.value().rows.size() < kBatchRowsMax;
  for (const SqlRow& row : found.value().rows) {
    const std::string text = row[0].value_or("");
    int64_t minute_us = std::strtoll(text.c_str(), nullptr, 10);
    if (is_sqlite_ && !store::parse_time_text(text, &minute_us)) {
      (void)unreadable("a minute that is no time: " + text);
      continue;
    }
    if (minute_us < page.next_us) continue;  // Its hour (day) will be merged as a whole.
    if (is_to_merge(level, minute_us, std::strtoll(row[1].value_or("0").c_str(), nullptr, 10))) {
      page.starts.push_back(stats_floor_us(level, minute_us));
      page.next_us = end_of(level, page.starts.back());
    } else if (level == StatsLevel::hour) {
      page.next_us = minute_us;  // Of the merged row; others may be beside it.
    } else {
      page.next_us = end_of(StatsLevel::hour, stats_floor_us(StatsLevel::hour, minute_us));
    }
  }
  // A full page of minutes that nobody can read leads nowhere.
  page.is_last = page.is_last || page.next_us <= from_us;
  return page;
}

Result<int64_t> StatsMerge::merge(StatsLevel level, int64_t start_us) {
  partner::SqlTransaction transaction(client_);
  Status status = begin_purge(&transaction, client_);
  if (!status.ok()) return status;
  const std::vector<SqlText> range = {time_text(start_us), time_text(end_of(level, start_us))};
  Result<int64_t> merged = is_sqlite_ ? merge_in_sqlite(range) : merge_in_postgresql(range);
  if (!merged.ok()) return merged;
  status = transaction.commit();
  if (!status.ok()) return status;
  return merged;
}

// The rows deleted and the row added to have different keys. What a writer adds to a row before
// that is deleted is in its sums; a writer that comes to it later waits for the commit, finds
// nothing in its way, and inserts its row anew. A row that somebody's transaction holds is left for
// the next purge: so the merge waits for no writer, and no two of us can wait for each other.
Result<int64_t> StatsMerge::merge_in_postgresql(const std::vector<SqlText>& range) {
  const std::string partner_id = std::to_string(partner_id_);
  const std::string writer = std::to_string(kMergedWriter);
  Result<SqlResult> merged = client_->query(
      "WITH free AS (SELECT minute, writer" + of_range_ +
          " AND NOT (minute = $1 AND writer = " + writer +
          ") ORDER BY minute, writer FOR UPDATE SKIP LOCKED),"
          " old AS (DELETE FROM postback_stats AS o USING free WHERE o.partner_id = " +
          partner_id +
          " AND o.minute >= $1 AND o.minute < $2 AND o.minute = free.minute"
          " AND o.writer = free.writer RETURNING o.*)"
          " INSERT INTO postback_stats AS s (partner_id, minute, writer, " +
          kStatsColumns + ") SELECT " + partner_id + ", $1, " + writer +
          ", sum(conversion_count), sum(duplicate_count), sum(quarantined_count),"
          " sum(sale_amount), sum(earning), min(first_conversion_at), max(last_conversion_at)"
          " FROM old HAVING count(*) > 0" +
          kAddToStats,
      range);
  if (!merged.ok()) return merged.status();
  return merged.value().changed_count;
}

// Nobody else writes the file within the transaction.
Result<int64_t> StatsMerge::merge_in_sqlite(const std::vector<SqlText>& range) {
  Result<SqlResult> old = client_->query(
      "DELETE" + of_range_ + " AND NOT (minute = $1 AND writer = " + std::to_string(kMergedWriter) +
          ") RETURNING " + kStatsColumns,
      range);
  if (!old.ok()) return old.status();
  if (old.value().rows.empty()) return int64_t{0};
  StoreStats sum;
  for (const SqlRow& row : old.value().rows) {
    if (!add_stats_row(row, &sum).ok()) return unreadable(sums_of(row));
  }
  // The merged row may be there already, and be the one that nobody can read.
  Result<SqlResult> there = client_->query(
      std::string("SELECT ") + kStatsColumns + of_range_ + " AND minute = $1", range);
  if (!there.ok()) return there.status();
  for (const SqlRow& row : there.value().rows) {
    StoreStats ignored;
    if (!add_stats_row(row, &ignored).ok()) return unreadable(sums_of(row));
  }
  const Status status = add_to_stats(client_, partner_id_, *range[0], kMergedWriter, sum);
  if (!status.ok()) return status;
  return int64_t{1};
}

}  // namespace postback::retention
