#include "store/sqlite_queries.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <string>

#include "base/time.h"
#include "store/sqlite_text.h"

namespace postback::store {
namespace {

constexpr const char* kStats =
    "SELECT conversion_count, duplicate_count, quarantined_count, sale_amount, earning,"
    " first_conversion_at, last_conversion_at"
    " FROM postback_stats WHERE partner_id = ?1 AND minute >= ?2";

// Walks index partner_conversions_newest backwards: as quick at any depth and for any partner,
// also when several share the file, and not into the range where everything is purged.
constexpr const char* kConversions =
    "SELECT id, conversion_id, offer_id, offer_name, media_id, sub_id, click_id, usd_sale_amount,"
    " usd_earning, conversion_datetime, processing_error, raw_data, is_processed, is_duplicate,"
    " received_at"
    " FROM partner_conversions WHERE partner_id = ?1 AND id < ?2"
    " AND id >= coalesce((SELECT floor_id FROM postback_purge WHERE partner_id = ?1), 0)"
    " AND purged_at IS NULL ORDER BY id DESC LIMIT ?3";

std::optional<std::string> text_or_null(const SqliteStatement& statement, int column) {
  if (statement.is_null(column)) return std::nullopt;
  return std::string(statement.text(column));
}

std::optional<int64_t> time_or_null(const SqliteStatement& statement, int column) {
  int64_t time_us = 0;
  if (!parse_time_text(statement.text(column), &time_us)) return std::nullopt;
  return time_us;
}

StoredConversion stored_conversion(const SqliteStatement& row) {
  StoredConversion conversion;
  conversion.id = row.integer(0);
  conversion.conversion_id = row.text(1);
  conversion.offer_id = text_or_null(row, 2);
  conversion.offer_name = text_or_null(row, 3);
  conversion.media_id = text_or_null(row, 4);
  conversion.sub_id = text_or_null(row, 5);
  conversion.click_id = text_or_null(row, 6);
  conversion.usd_sale_amount = text_or_null(row, 7);
  conversion.usd_earning = text_or_null(row, 8);
  conversion.conversion_datetime_us = time_or_null(row, 9);
  conversion.processing_error = text_or_null(row, 10);
  conversion.raw_data = text_or_null(row, 11);
  conversion.is_processed = row.integer(12) != 0;
  conversion.is_duplicate = row.integer(13) != 0;
  conversion.received_at_us = time_or_null(row, 14).value_or(0);
  return conversion;
}

}  // namespace

SqliteResult query_stats(SqliteConnection* connection, StoreRead* read) {
  SqliteStatement statement;
  SqliteResult result = statement.prepare(connection, kStats);
  if (result != SqliteResult::ok) return result;
  std::string minute;
  set_time_text(&minute, base::minute_floor_us(read->since_us));
  statement.bind(1, read->partner_id);
  statement.bind(2, minute);
  StoreStats stats;
  bool row = false;
  while ((result = statement.step(&row)) == SqliteResult::ok && row) {
    stats.conversion_count += statement.integer(0);
    stats.duplicate_count += statement.integer(1);
    stats.quarantined_count += statement.integer(2);
    Decimal sale_amount;
    Decimal earning;
    if (!parse_sum(statement.text(3), &sale_amount) || !parse_sum(statement.text(4), &earning)) {
      return connection->fail(SqliteResult::schema,
                              "postback_stats holds a sum that is no decimal");
    }
    stats.sale_amount.add(sale_amount);
    stats.earning.add(earning);
    if (const auto first = time_or_null(statement, 5)) {
      stats.first_conversion_at_us =
          std::min(stats.first_conversion_at_us.value_or(*first), *first);
    }
    if (const auto last = time_or_null(statement, 6)) {
      stats.last_conversion_at_us = std::max(stats.last_conversion_at_us.value_or(*last), *last);
    }
  }
  if (result == SqliteResult::ok) read->stats = stats;
  return result;
}

SqliteResult query_conversions(SqliteConnection* connection, StoreRead* read) {
  SqliteStatement statement;
  SqliteResult result = statement.prepare(connection, kConversions);
  if (result != SqliteResult::ok) return result;
  constexpr int32_t kRowsMax = 1000;
  statement.bind(1, read->partner_id);
  statement.bind(2, read->before_id);
  statement.bind(3, std::clamp(read->limit, 0, kRowsMax));
  bool row = false;
  int64_t bytes = 0;
  while (bytes < read->bytes_max && (result = statement.step(&row)) == SqliteResult::ok && row) {
    bytes += page_row_bytes(read->conversions.emplace_back(stored_conversion(statement)));
  }
  if (result != SqliteResult::ok) read->conversions.clear();
  read->more = bytes >= read->bytes_max || std::ssize(read->conversions) == read->limit;
  return result;
}

}  // namespace postback::store
