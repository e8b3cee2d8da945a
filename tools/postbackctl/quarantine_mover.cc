#include "quarantine_mover.h"

#include <algorithm>
#include <cstdlib>
#include <string>

#include "base/time.h"
#include "ingest/row_id.h"
#include "retention/purge_rows.h"
#include "retention/stats_row.h"
#include "store/schema.h"

namespace postback::postbackctl {
namespace {

using base::Result;
using base::Status;
using partner::SqlResult;
using partner::SqlText;

// $16: the time of receipt, $17: now. The row is younger than its receipt: who fetches new rows by
// created_at finds it.
constexpr const char* kInsert =
    "INSERT INTO partner_conversions (id, partner_id, conversion_id, offer_id, offer_name,"
    " conversion_datetime, usd_sale_amount, usd_earning, media_id, sub_id, click_id,"
    " processing_error, raw_data, request_headers, request_ip, received_at, created_at, updated_at)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $17)"
    " ON CONFLICT (conversion_id, partner_id) WHERE ";

SqlText text_of(const Conversion& conversion, Field field) {
  if (!conversion.has(field)) return std::nullopt;
  return std::string(conversion.text(field));
}

SqlText time_of(const std::optional<int64_t>& time_us) {
  if (!time_us.has_value()) return std::nullopt;
  return retention::time_text(*time_us);
}

SqlText decimal_of(const std::optional<Decimal>& value) {
  if (!value.has_value()) return std::nullopt;
  return value->to_string();
}

int64_t integer_of(const SqlText& text) {
  return std::strtoll(text.value_or("0").c_str(), nullptr, 10);
}

}  // namespace

Status QuarantineMover::check_schema() {
  Result<SqlResult> found = client_->query("SELECT max(version) FROM postback_schema");
  if (!found.ok()) return found.status();
  const int64_t version = found.value().rows.empty() ? 0 : integer_of(found.value().rows[0][0]);
  if (version == store::kSchemaVersion) return Status();
  return Status::error("its database has schema version " + std::to_string(version) +
                       ", this program knows " + std::to_string(store::kSchemaVersion) +
                       "; use the postbackctl of the postbackd that serves it" +
                       (version < store::kSchemaVersion ? ", or start this postbackd once" : ""));
}

Result<bool> QuarantineMover::is_stored(std::string_view conversion_id) {
  Result<SqlResult> found = client_->query(
      "SELECT 1 FROM partner_conversions WHERE conversion_id = $1 AND partner_id = " +
          std::to_string(partner_id_) +
          (is_sqlite() ? " AND is_duplicate = 0" : " AND NOT is_duplicate"),
      {std::string(conversion_id)});
  if (!found.ok()) return found.status();
  return !found.value().rows.empty();
}

Status QuarantineMover::move(std::vector<Move>* moves, bool* refused) {
  *refused = false;
  deltas_.clear();
  now_ = retention::time_text(base::system_clock().wall_us());
  partner::SqlTransaction transaction(client_);
  Status status = transaction.begin();
  if (!status.ok()) return status;
  status = move_rows(moves);
  if (!status.ok()) {
    *refused = !client_->broken();
    return status;
  }
  return transaction.commit();
}

// Every transaction locks in the same order, so that neither two of us nor a server and we wait for
// each other: quarantine rows by id, conversions by conversion id (as lanes do), statistics by
// minute.
Status QuarantineMover::move_rows(std::vector<Move>* moves) {
  std::sort(moves->begin(), moves->end(),
            [](const Move& a, const Move& b) { return a.conversion->id < b.conversion->id; });
  for (Move& move : *moves) {
    const Status status = take_from_quarantine(&move);
    if (!status.ok()) return status;
  }
  // Of several rows with one conversion id the earliest is the conversion.
  std::stable_sort(moves->begin(), moves->end(), [](const Move& a, const Move& b) {
    return a.conversion->text(Field::conversion_id) < b.conversion->text(Field::conversion_id);
  });
  for (Move& move : *moves) {
    if (move.result == MoveResult::gone) continue;
    const Status status = insert(&move);
    if (!status.ok()) return status;
    count(move);
  }
  for (const auto& [minute_us, delta] : deltas_) {
    const Status status = retention::add_to_stats(
        client_, partner_id_, retention::time_text(minute_us), kRetryWriter, delta);
    if (!status.ok()) return status;
  }
  return Status();
}

// First of all: of two retries that know a row, one deletes it, and the other sees that.
Status QuarantineMover::take_from_quarantine(Move* move) {
  Result<SqlResult> deleted = client_->query(
      "DELETE FROM postback_quarantine WHERE id = " + std::to_string(move->conversion->id) +
      " AND partner_id = " + std::to_string(partner_id_));
  if (!deleted.ok()) return deleted.status();
  move->result = deleted.value().changed_count == 1 ? MoveResult::pending : MoveResult::gone;
  return Status();
}

// The id of the quarantine row, but when a conversion of another call has it, made elsewhere in the
// same microsecond. The transaction has SQLite's write lock; PostgreSQL takes rows that share an
// id.
Result<int64_t> QuarantineMover::free_id(const Conversion& conversion) {
  for (int64_t id = conversion.id;; id = ingest::RowIds::next_to(id)) {
    Result<SqlResult> found = client_->query(
        "SELECT 1 FROM partner_conversions WHERE id = " + std::to_string(id) +
            " AND NOT (conversion_id = $1 AND partner_id = " + std::to_string(partner_id_) + ")",
        {text_of(conversion, Field::conversion_id)});
    if (!found.ok()) return found.status();
    if (found.value().rows.empty()) return id;
  }
}

// The unique index decides what is a repeat: no server's memory is asked, and a server whose memory
// does not know the id yet is told by the same index.
Status QuarantineMover::insert(Move* move) {
  const Conversion& conversion = *move->conversion;
  const std::string sql =
      kInsert + std::string(is_sqlite() ? "is_duplicate = 0" : "NOT is_duplicate") + " DO NOTHING";
  Result<int64_t> id = free_id(conversion);
  if (!id.ok()) return id.status();
  Result<SqlResult> inserted = client_->query(
      sql, {std::to_string(id.value()), std::to_string(partner_id_),
            text_of(conversion, Field::conversion_id), text_of(conversion, Field::offer_id),
            text_of(conversion, Field::offer_name), time_of(conversion.conversion_datetime_us),
            decimal_of(conversion.usd_sale_amount), decimal_of(conversion.usd_earning),
            text_of(conversion, Field::media_id), text_of(conversion, Field::sub_id),
            text_of(conversion, Field::click_id), text_of(conversion, Field::processing_error),
            text_of(conversion, Field::raw_data), text_of(conversion, Field::request_headers),
            text_of(conversion, Field::request_ip), time_of(conversion.received_at_us), now_});
  if (!inserted.ok()) return inserted.status();
  move->result = inserted.value().changed_count == 1 ? MoveResult::stored : MoveResult::duplicate;
  return Status();
}

void QuarantineMover::count(const Move& move) {
  const Conversion& conversion = *move.conversion;
  const int64_t received_us = conversion.received_at_us;
  StoreStats& delta = deltas_[base::minute_floor_us(received_us)];
  --delta.quarantined_count;
  if (move.result == MoveResult::duplicate) {
    ++delta.duplicate_count;
    return;
  }
  ++delta.conversion_count;
  if (conversion.usd_sale_amount) delta.sale_amount.add(*conversion.usd_sale_amount);
  if (conversion.usd_earning) delta.earning.add(*conversion.usd_earning);
  delta.first_conversion_at_us =
      std::min(delta.first_conversion_at_us.value_or(received_us), received_us);
  delta.last_conversion_at_us =
      std::max(delta.last_conversion_at_us.value_or(received_us), received_us);
}

}  // namespace postback::postbackctl
