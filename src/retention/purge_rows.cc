#include "retention/purge_rows.h"

#include <cstdlib>

#include "store/sqlite_text.h"

namespace postback::retention {
namespace {

using base::Result;
using base::Status;
using partner::SqlResult;
using partner::SqlRow;

// The plan must not depend on statistics that are missing or old: by the primary key, always. A
// purge that is lost with a crash of the database is repeated, so its commit need not wait for the
// disk. All of it ends with the transaction.
constexpr const char* kPostgresSettings =
    "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = "
    "off;"
    "SET LOCAL synchronous_commit = off; SET LOCAL lock_timeout = '1s';"
    "SET LOCAL statement_timeout = '10s'";

// $1: now. updated_at stays: who copies what was updated must not copy a row's end.
constexpr const char* kSlim =
    "UPDATE partner_conversions SET offer_id = NULL, offer_name = NULL,"
    " conversion_datetime = NULL, usd_sale_amount = NULL, usd_earning = NULL, media_id = NULL,"
    " sub_id = NULL, click_id = NULL, processing_error = NULL, raw_data = NULL,"
    " request_headers = NULL, request_ip = NULL, purged_at = $1";

constexpr const char* kSlimColumns =
    "id, partner_id, conversion_id, is_processed, received_at, created_at, updated_at, purged_at";

bool is_true(const partner::SqlText& text) {
  return text == "t" || text == "1";
}

}  // namespace

std::string time_text(int64_t time_us) {
  std::string text;
  store::set_time_text(&text, time_us);
  return text;
}

Status begin_purge(partner::SqlTransaction* transaction, partner::SqlClient* client) {
  const Status status = transaction->begin();
  if (!status.ok() || client->kind() == base::DatabaseKind::sqlite) return status;
  return client->run(kPostgresSettings);
}

PurgeRows::PurgeRows(partner::SqlClient* client, int32_t partner_id)
    : client_(client),
      partner_id_(std::to_string(partner_id)),
      is_sqlite_(client->kind() == base::DatabaseKind::sqlite) {}

Result<std::vector<FoundRow>> PurgeRows::find(Table table, int64_t after_id, int64_t end_id,
                                              const std::string& before, size_t row_count_max) {
  const bool conversions = table == Table::conversions;
  const std::string sql =
      "SELECT id, partner_id = " + partner_id_ + ", received_at < $1, " +
      (conversions ? "purged_at IS NOT NULL, is_duplicate FROM partner_conversions"
                   : "false, false FROM postback_quarantine") +
      " WHERE id > " + std::to_string(after_id) + " AND id < " + std::to_string(end_id) +
      " ORDER BY id " +
      // Rows of two servers may share an id: none is left behind for being one too many.
      (is_sqlite_ ? "LIMIT " + std::to_string(row_count_max)
                  : "FETCH FIRST " + std::to_string(row_count_max) + " ROWS WITH TIES");
  partner::SqlTransaction transaction(client_);
  if (!is_sqlite_) {  // A SQLite transaction would keep the server from writing.
    const Status status = begin_purge(&transaction, client_);
    if (!status.ok()) return status;
  }
  Result<SqlResult> found = client_->query(sql, {before});
  if (!found.ok()) return found.status();
  std::vector<FoundRow> rows;
  for (const SqlRow& columns : found.value().rows) {
    FoundRow& row = rows.emplace_back();
    row.id = std::strtoll(columns[0].value_or("0").c_str(), nullptr, 10);
    row.is_ours = is_true(columns[1]);
    row.is_over = is_true(columns[2]);
    row.is_slim = is_true(columns[3]);
    row.is_extra = is_true(columns[4]);
  }
  return rows;
}

// Of twelve rows, about as many as a page holds: the first; then three; then eight. Smaller and
// larger rows work out alike, since the room that a row leaves and the number of rows on a page are
// in proportion: 98 % of the updates were HOT with rows of 680 bytes.
std::vector<RowIdList> PurgeRows::slim_parts(const RowIdList& ids) const {
  if (is_sqlite_) return {ids};
  std::vector<RowIdList> parts(3);
  for (size_t i = 0; i < ids.size(); ++i) {
    const size_t place = i % 12;
    const size_t part = place == 0 ? 0 : place == 3 || place == 7 || place == 10 ? 1 : 2;
    parts[part].push_back(ids[i]);
  }
  std::erase_if(parts, [](const RowIdList& part) { return part.empty(); });
  return parts;
}

std::string PurgeRows::of_ours(const RowIdList& ids) const {
  std::string list;
  for (const int64_t id : ids) list += (list.empty() ? "" : ",") + std::to_string(id);
  return " WHERE id IN (" + list + ") AND partner_id = " + partner_id_;
}

Result<int64_t> PurgeRows::change(const std::string& sql,
                                  const std::vector<partner::SqlText>& values) {
  partner::SqlTransaction transaction(client_);
  Status status = begin_purge(&transaction, client_);
  if (!status.ok()) return status;
  Result<SqlResult> changed = client_->query(sql, values);
  if (!changed.ok()) return changed.status();
  status = transaction.commit();
  if (!status.ok()) return status;
  return changed.value().changed_count;
}

Result<int64_t> PurgeRows::slim(const RowIdList& ids, const std::string& before,
                                const std::string& now) {
  partner::SqlTransaction transaction(client_);
  Status status = begin_purge(&transaction, client_);
  if (!status.ok()) return status;
  Result<SqlResult> changed = client_->query(
      kSlim + of_ours(ids) + " AND received_at < $2 AND purged_at IS NULL AND NOT is_duplicate",
      {now, before});
  if (!changed.ok()) return changed.status();
  if (is_sqlite_) status = join_pages(ids, now);
  if (status.ok()) status = transaction.commit();
  if (!status.ok()) return status;
  return changed.value().changed_count;
}

// SQLite shortens a row in place and leaves its page as empty as that makes it; only a deletion
// makes it join a page with its neighbours and set the others free for new rows. One row in twenty
// is therefore deleted and inserted again: with rows of 750 bytes that freed 55 % of their space,
// as much as one in five, at a fifth more time instead of three times as much.
Status PurgeRows::join_pages(const RowIdList& ids, const std::string& now) {
  constexpr size_t kOneIn = 20;
  RowIdList some;
  for (size_t i = kOneIn / 2; i < ids.size(); i += kOneIn) some.push_back(ids[i]);
  if (some.empty()) return Status();
  const std::string which = of_ours(some) + " AND purged_at = $1";
  Result<SqlResult> rows = client_->query(
      std::string("SELECT ") + kSlimColumns + " FROM partner_conversions" + which, {now});
  if (!rows.ok()) return rows.status();
  Result<SqlResult> removed = client_->query("DELETE FROM partner_conversions" + which, {now});
  if (!removed.ok()) return removed.status();
  for (const SqlRow& row : rows.value().rows) {
    const Status status = insert_again(row);
    if (!status.ok()) return status;
  }
  return Status();
}

Status PurgeRows::insert_again(const SqlRow& row) {
  return client_
      ->query(std::string("INSERT INTO partner_conversions (") + kSlimColumns +
                  ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
              row)
      .status();
}

Result<int64_t> PurgeRows::remove_extra(const RowIdList& ids, const std::string& before) {
  return change(
      "DELETE FROM partner_conversions" + of_ours(ids) + " AND received_at < $1 AND is_duplicate",
      {before});
}

Result<int64_t> PurgeRows::forget(const RowIdList& ids, const std::string& before) {
  return change("DELETE FROM partner_conversions" + of_ours(ids) + " AND received_at < $1",
                {before});
}

Result<int64_t> PurgeRows::remove_quarantined(const RowIdList& ids, const std::string& before) {
  return change("DELETE FROM postback_quarantine" + of_ours(ids) + " AND received_at < $1",
                {before});
}

}  // namespace postback::retention
