#include "store/pg_result.h"

#include <charconv>
#include <iterator>
#include <optional>
#include <string>

#include "store/sqlite_text.h"

namespace postback::store {
namespace {

// The columns of one row, taken from left to right.
class RowReader {
 public:
  RowReader(const PGresult* result, int row) : result_(result), row_(row) {}

  std::optional<std::string> text() {
    const int column = column_++;
    if (PQgetisnull(result_, row_, column) != 0) return std::nullopt;
    return std::string(PQgetvalue(result_, row_, column),
                       static_cast<size_t>(PQgetlength(result_, row_, column)));
  }
  std::optional<int64_t> integer_or_null() {
    const std::optional<std::string> value = text();
    if (!value) return std::nullopt;
    int64_t number = 0;
    const char* end = value->data() + value->size();
    const auto parsed = std::from_chars(value->data(), end, number);
    if (parsed.ec != std::errc() || parsed.ptr != end) ok_ = false;
    return number;
  }
  int64_t integer() { return integer_or_null().value_or(0); }
  bool boolean() { return text() == "t"; }
  Decimal sum() {
    Decimal value;
    if (!parse_sum(text().value_or("0"), &value)) ok_ = false;
    return value;
  }
  bool ok() const { return ok_; }

 private:
  const PGresult* result_;
  int row_;
  int column_ = 0;
  bool ok_ = true;
};

}  // namespace

bool take_stats(const PGresult* result, StoreStats* stats) {
  if (PQntuples(result) != 1 || PQnfields(result) != 7) return false;
  RowReader row(result, 0);
  stats->conversion_count = row.integer();
  stats->duplicate_count = row.integer();
  stats->quarantined_count = row.integer();
  stats->sale_amount = row.sum();
  stats->earning = row.sum();
  stats->first_conversion_at_us = row.integer_or_null();
  stats->last_conversion_at_us = row.integer_or_null();
  return row.ok();
}

bool take_conversions(const PGresult* result, StoreRead* read) {
  if (PQnfields(result) != 15) return false;
  std::vector<StoredConversion>* rows = &read->conversions;
  rows->reserve(static_cast<size_t>(PQntuples(result)));
  int64_t bytes = 0;
  for (int i = 0; i < PQntuples(result) && bytes < read->bytes_max; ++i) {
    RowReader row(result, i);
    StoredConversion& stored = rows->emplace_back();
    stored.id = row.integer();
    stored.conversion_id = row.text().value_or("");
    stored.offer_id = row.text();
    stored.offer_name = row.text();
    stored.media_id = row.text();
    stored.sub_id = row.text();
    stored.click_id = row.text();
    stored.usd_sale_amount = row.text();
    stored.usd_earning = row.text();
    stored.conversion_datetime_us = row.integer_or_null();
    stored.processing_error = row.text();
    stored.raw_data = row.text();
    stored.is_processed = row.boolean();
    stored.is_duplicate = row.boolean();
    stored.received_at_us = row.integer();
    if (!row.ok()) return false;
    bytes += page_row_bytes(stored);
  }
  read->more = bytes >= read->bytes_max || std::ssize(*rows) == read->limit;
  return true;
}

}  // namespace postback::store
