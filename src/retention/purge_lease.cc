#include "retention/purge_lease.h"

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "ingest/row_id.h"
#include "retention/limits.h"
#include "retention/purge_rows.h"
#include "store/sqlite_text.h"

namespace postback::retention {

using base::Result;
using base::Status;
using partner::SqlResult;
using partner::SqlText;

namespace {

int64_t integer_of(const SqlText& text) {
  return std::strtoll(text.value_or("0").c_str(), nullptr, 10);
}

// As selected by `time_column`: text in SQLite, microseconds in PostgreSQL.
std::optional<int64_t> time_of(const SqlText& text, bool is_sqlite) {
  int64_t time_us = 0;
  if (!text.has_value()) return std::nullopt;
  if (!is_sqlite) return integer_of(text);
  if (!store::parse_time_text(*text, &time_us)) return std::nullopt;
  return time_us;
}

std::string time_column(const char* name, bool is_sqlite) {
  if (is_sqlite) return name;
  return std::string("(extract(epoch FROM ") + name + ") * 1000000)::int8";
}

}  // namespace

Result<std::optional<int64_t>> database_time(partner::SqlClient* client) {
  if (client->kind() == base::DatabaseKind::sqlite) return std::optional<int64_t>();
  Result<SqlResult> found =
      client->query("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::int8");
  if (!found.ok()) return found.status();
  return std::optional<int64_t>(integer_of(found.value().rows[0][0]));
}

std::string PurgeLease::of_row() const {
  return " WHERE partner_id = " + std::to_string(partner_id_);
}

// One statement in a transaction of its own; the number of rows it changed.
Result<int64_t> PurgeLease::write(const std::string& sql, const std::vector<SqlText>& values) {
  partner::SqlTransaction transaction(client_);
  Status status = transaction.begin();
  if (!status.ok()) return status;
  Result<SqlResult> written = client_->query(sql, values);
  if (!written.ok()) return written.status();
  status = transaction.commit();
  if (!status.ok()) return status;
  return written.value().changed_count;
}

Status PurgeLease::read() {
  Result<std::optional<int64_t>> database_us = database_time_(client_);
  if (!database_us.ok()) return database_us.status();
  database_us_ = database_us.value();
  ahead_us_ = database_us_.value_or(clock_->wall_us()) - clock_->wall_us();
  const bool is_sqlite = client_->kind() == base::DatabaseKind::sqlite;
  Result<SqlResult> found =
      client_->query("SELECT floor_id, swept_id, " + time_column("finished_at", is_sqlite) + ", " +
                     time_column("as_of", is_sqlite) + ", gaps FROM postback_purge" + of_row());
  if (!found.ok()) return found.status();
  found_ = !found.value().rows.empty();
  if (!found_) return Status();
  const partner::SqlRow& row = found.value().rows[0];
  record_.floor_id = integer_of(row[0]);
  record_.swept_id = integer_of(row[1]);
  finished_us_ = time_of(row[2], is_sqlite);
  record_.as_of_us = time_of(row[3], is_sqlite);
  // A purge of the version before did not write it.
  if (!record_.as_of_us.has_value()) record_.as_of_us = finished_us_;
  record_.gaps = parse_gaps(row[4].value_or(""));
  return Status();
}

Status PurgeLease::look(const FloorMax& floor_id_max) {
  const Status status = read();
  if (!status.ok()) return status;
  // By the later of the clocks, so that one which is behind takes no floor for one in the future.
  const int64_t latest_us = std::max(clock_->wall_us(), now_us());
  if (record_.floor_id <= ingest::RowIds::first_of(latest_us)) return Status();
  record_.floor_id = floor_id_max(latest_us);
  return write("UPDATE postback_purge SET floor_id = " + std::to_string(record_.floor_id) +
                   of_row() + " AND floor_id > " + std::to_string(record_.floor_id),
               {})
      .status();
}

Result<PurgeLease::Claim> PurgeLease::claim(bool only_if_due) {
  const int64_t now = now_us();
  if (only_if_due && finished_us_.has_value() && *finished_us_ > now - kDueAfterUs &&
      *finished_us_ <= now + base::kToleranceUs) {
    return Claim::not_due;
  }
  if (!found_) {
    Result<int64_t> made = write("INSERT INTO postback_purge (partner_id) VALUES (" +
                                     std::to_string(partner_id_) + ") ON CONFLICT DO NOTHING",
                                 {});
    if (!made.ok()) return made.status();
  }
  Result<int64_t> claimed = write(
      "UPDATE postback_purge SET holder = " + std::to_string(holder_) + ", held_until = $1" +
          of_row() + " AND (held_until IS NULL OR held_until < $2 OR held_until > $3 OR holder = " +
          std::to_string(holder_) + ")",
      {time_text(now + kLeaseUs), time_text(now), time_text(now + kLeaseUs + base::kToleranceUs)});
  if (!claimed.ok()) return claimed.status();
  renewed_at_us_ = now;
  return claimed.value() == 1 ? Claim::mine : Claim::of_another;
}

Result<bool> PurgeLease::keep(int64_t floor_id) {
  const int64_t now = now_us();
  if (now - renewed_at_us_ < kLeaseRenewUs && now >= renewed_at_us_) return true;
  record_.floor_id = std::max(record_.floor_id, floor_id);
  Result<int64_t> kept = write(
      "UPDATE postback_purge SET held_until = $1, floor_id = " + std::to_string(record_.floor_id) +
          of_row() + " AND holder = " + std::to_string(holder_),
      {time_text(now + kLeaseUs)});
  if (!kept.ok()) return kept.status();
  renewed_at_us_ = now;
  return kept.value() == 1;
}

Status PurgeLease::finish(const PurgeRecord& record) {
  SqlText as_of;
  if (record.as_of_us.has_value()) as_of = time_text(*record.as_of_us);
  return write(
             "UPDATE postback_purge SET held_until = NULL, finished_at = $1, as_of = $2,"
             " gaps = $3, swept_id = " +
                 std::to_string(record.swept_id) +
                 ", floor_id = " + std::to_string(record.floor_id) + of_row() +
                 " AND holder = " + std::to_string(holder_),
             {time_text(now_us()), as_of, gaps_text(record.gaps)})
      .status();
}

void PurgeLease::release(int64_t floor_id) {
  record_.floor_id = std::max(record_.floor_id, floor_id);
  (void)write("UPDATE postback_purge SET held_until = NULL, floor_id = " +
                  std::to_string(record_.floor_id) + of_row() +
                  " AND holder = " + std::to_string(holder_),
              {});
}

}  // namespace postback::retention
