#include "store/sqlite_inserter.h"

#include <algorithm>

#include "base/time.h"
#include "store/sqlite_text.h"

namespace postback::store {
namespace {

// The conflict is named: a bare ON CONFLICT DO NOTHING would also swallow a clash of `id`, and
// with it a conversion. That clash fails the batch instead.
constexpr const char* kInsertConversion =
    "INSERT INTO partner_conversions (id, partner_id, conversion_id, offer_id, offer_name,"
    " conversion_datetime, usd_sale_amount, usd_earning, media_id, sub_id, click_id,"
    " processing_error, raw_data, request_headers, request_ip, received_at, created_at, updated_at)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?16, ?16)"
    " ON CONFLICT (conversion_id, partner_id) WHERE is_duplicate = 0 DO NOTHING";

constexpr const char* kFindEarlier =
    "SELECT id FROM partner_conversions"
    " WHERE conversion_id = ?1 AND partner_id = ?2 AND is_duplicate = 0";

constexpr const char* kInsertQuarantined =
    "INSERT INTO postback_quarantine (id, partner_id, received_at, reason, field, message,"
    " conversion_id, method, target, raw_data, request_headers, body, request_ip, created_at)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?3)"
    " ON CONFLICT (id) DO NOTHING";

// Whether what has the id is this very row, from an earlier try whose outcome was lost: then all
// that came with the call is the same.
constexpr const char* kFindQuarantined =
    "SELECT 1 FROM postback_quarantine WHERE id = ?1 AND partner_id = ?2 AND received_at = ?3"
    " AND reason = ?4 AND conversion_id IS ?7 AND method IS ?8 AND target IS ?9 AND raw_data IS ?10"
    " AND request_headers IS ?11 AND body IS ?12 AND request_ip IS ?13";

constexpr const char* kSelectStats =
    "SELECT conversion_count, duplicate_count, quarantined_count, sale_amount, earning,"
    " first_conversion_at, last_conversion_at"
    " FROM postback_stats WHERE partner_id = ?1 AND minute = ?2 AND writer = ?3";

constexpr const char* kReplaceStats =
    "INSERT OR REPLACE INTO postback_stats (partner_id, minute, writer, conversion_count,"
    " duplicate_count, quarantined_count, sale_amount, earning, first_conversion_at,"
    " last_conversion_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";

void bind_text(SqliteStatement* statement, int index, const Conversion& conversion, Field field) {
  if (conversion.has(field)) {
    statement->bind(index, conversion.text(field));
  } else {
    statement->bind_null(index);
  }
}

// `buffer` holds the text until the step.
void bind_decimal(SqliteStatement* statement, int index, const std::optional<Decimal>& value,
                  std::string* buffer) {
  if (!value.has_value()) return statement->bind_null(index);
  buffer->clear();
  value->append_to(buffer);
  statement->bind(index, *buffer);
}

void bind_time(SqliteStatement* statement, int index, const std::optional<int64_t>& time_us,
               std::string* buffer) {
  if (!time_us.has_value()) return statement->bind_null(index);
  set_time_text(buffer, *time_us);
  statement->bind(index, *buffer);
}

void widen(std::optional<int64_t>* first, std::optional<int64_t>* last, int64_t time_us) {
  *first = std::min(first->value_or(time_us), time_us);
  *last = std::max(last->value_or(time_us), time_us);
}

}  // namespace

SqliteResult SqliteInserter::prepare(SqliteConnection* connection) {
  connection_ = connection;
  SqliteResult result = insert_conversion_.prepare(connection, kInsertConversion);
  if (result == SqliteResult::ok) result = find_earlier_.prepare(connection, kFindEarlier);
  if (result == SqliteResult::ok) {
    result = insert_quarantined_.prepare(connection, kInsertQuarantined);
  }
  if (result == SqliteResult::ok) result = find_quarantined_.prepare(connection, kFindQuarantined);
  if (result == SqliteResult::ok) result = select_stats_.prepare(connection, kSelectStats);
  if (result == SqliteResult::ok) result = replace_stats_.prepare(connection, kReplaceStats);
  return result;
}

void SqliteInserter::finalize() {
  insert_conversion_.finalize();
  find_earlier_.finalize();
  insert_quarantined_.finalize();
  find_quarantined_.finalize();
  select_stats_.finalize();
  replace_stats_.finalize();
}

SqliteResult SqliteInserter::apply(Batch* batch, int64_t writer_id) {
  deltas_.clear();
  batch->inserted = false;
  batch->id_taken = false;
  if (!batch->sample.empty()) {
    const SqliteResult result = look_up_sample(batch);
    if (result != SqliteResult::ok) return result;
  }
  for (BatchRow& row : batch->conversions) {
    const SqliteResult result = insert_conversion(&row, batch);
    if (result != SqliteResult::ok) return result;
  }
  for (const Conversion* conversion : batch->quarantined) {
    const SqliteResult result = insert_quarantined(*conversion, batch);
    if (result != SqliteResult::ok) return result;
  }
  if (batch->duplicate_count > 0) {
    delta_of(batch->partner_id, batch->duplicates_at_us).duplicate_count += batch->duplicate_count;
  }
  for (const Delta& delta : deltas_) {
    const SqliteResult result = merge(delta, writer_id);
    if (result != SqliteResult::ok) return result;
  }
  return SqliteResult::ok;
}

SqliteResult SqliteInserter::look_up_sample(Batch* batch) {
  batch->sample_found = 0;
  for (const std::string& id : batch->sample) {
    find_earlier_.bind(1, id);
    find_earlier_.bind(2, int64_t{batch->partner_id});
    bool found = false;
    const SqliteResult result = find_earlier_.step(&found);
    if (result != SqliteResult::ok) return result;
    if (!found) continue;
    ++batch->sample_found;
    find_earlier_.reset();
  }
  return SqliteResult::ok;
}

SqliteResult SqliteInserter::insert_conversion(BatchRow* row, Batch* batch) {
  const Conversion& conversion = *row->conversion;
  SqliteStatement& insert = insert_conversion_;
  insert.bind(1, conversion.id);
  insert.bind(2, conversion.partner_id);
  bind_text(&insert, 3, conversion, Field::conversion_id);
  bind_text(&insert, 4, conversion, Field::offer_id);
  bind_text(&insert, 5, conversion, Field::offer_name);
  bind_time(&insert, 6, conversion.conversion_datetime_us, &conversion_datetime_);
  bind_decimal(&insert, 7, conversion.usd_sale_amount, &sale_amount_);
  bind_decimal(&insert, 8, conversion.usd_earning, &earning_);
  bind_text(&insert, 9, conversion, Field::media_id);
  bind_text(&insert, 10, conversion, Field::sub_id);
  bind_text(&insert, 11, conversion, Field::click_id);
  bind_text(&insert, 12, conversion, Field::processing_error);
  bind_text(&insert, 13, conversion, Field::raw_data);
  bind_text(&insert, 14, conversion, Field::request_headers);
  bind_text(&insert, 15, conversion, Field::request_ip);
  bind_time(&insert, 16, conversion.received_at_us, &received_at_);
  const SqliteResult result = insert.run();
  if (result != SqliteResult::ok) {
    batch->id_taken = connection_->is_primary_key_taken();
    return result;
  }
  if (connection_->changed_row_count() == 0) return recognise_earlier(row);
  row->result = RowResult::stored;
  batch->inserted = true;
  Delta& delta = delta_of(conversion.partner_id, conversion.received_at_us);
  ++delta.conversion_count;
  if (conversion.usd_sale_amount) delta.sale_amount.add(*conversion.usd_sale_amount);
  if (conversion.usd_earning) delta.earning.add(*conversion.usd_earning);
  widen(&delta.first_conversion_at_us, &delta.last_conversion_at_us, conversion.received_at_us);
  return SqliteResult::ok;
}

SqliteResult SqliteInserter::recognise_earlier(BatchRow* row) {
  const Conversion& conversion = *row->conversion;
  bind_text(&find_earlier_, 1, conversion, Field::conversion_id);
  find_earlier_.bind(2, conversion.partner_id);
  bool found = false;
  const SqliteResult result = find_earlier_.step(&found);
  if (result != SqliteResult::ok) return result;
  // Believed impossible; but a conversion is never called a duplicate of nothing.
  if (!found) return connection_->fail(SqliteResult::schema, "a conflict with no row to show");
  const int64_t earlier_id = find_earlier_.integer(0);
  find_earlier_.reset();
  if (earlier_id == conversion.id) {
    // This very row, from an earlier try whose outcome was lost: stored, and counted already.
    row->result = RowResult::stored;
  } else {
    row->result = RowResult::duplicate;
    ++delta_of(conversion.partner_id, conversion.received_at_us).duplicate_count;
  }
  return SqliteResult::ok;
}

void SqliteInserter::bind_quarantined(SqliteStatement* statement, const Conversion& conversion) {
  statement->bind(1, conversion.id);
  statement->bind(2, conversion.partner_id);
  bind_time(statement, 3, conversion.received_at_us, &received_at_);
  statement->bind(4, reason_name(conversion.reason));
  bind_text(statement, 7, conversion, Field::conversion_id);
  bind_text(statement, 8, conversion, Field::method);
  bind_text(statement, 9, conversion, Field::target);
  bind_text(statement, 10, conversion, Field::raw_data);
  bind_text(statement, 11, conversion, Field::request_headers);
  if (conversion.has(Field::body)) {
    statement->bind_blob(12, conversion.text(Field::body));
  } else {
    statement->bind_null(12);
  }
  bind_text(statement, 13, conversion, Field::request_ip);
}

SqliteResult SqliteInserter::insert_quarantined(const Conversion& conversion, Batch* batch) {
  SqliteStatement& insert = insert_quarantined_;
  bind_quarantined(&insert, conversion);
  bind_text(&insert, 5, conversion, Field::fault_field);
  insert.bind(6, conversion.text(Field::fault_message));  // NOT NULL: empty when absent.
  SqliteResult result = insert.run();
  if (result != SqliteResult::ok) return result;
  if (connection_->changed_row_count() == 1) {
    ++delta_of(conversion.partner_id, conversion.received_at_us).quarantined_count;
    return result;
  }
  bind_quarantined(&find_quarantined_, conversion);
  bool found = false;
  result = find_quarantined_.step(&found);
  if (result != SqliteResult::ok) return result;
  if (found) {
    find_quarantined_.reset();
    return result;
  }
  batch->id_taken = true;
  return connection_->fail(SqliteResult::rejected,
                           "another postback in quarantine has the id of this one");
}

// Read, add, write: SQLite cannot add decimals exactly. One look-up per batch and minute is small
// beside its commit, so nothing is cached that a rollback would have to undo.
SqliteResult SqliteInserter::merge(const Delta& delta, int64_t writer_id) {
  Delta sum = delta;
  const SqliteResult result = add_stored(&sum, writer_id);
  if (result != SqliteResult::ok) return result;
  return write_stats(sum, writer_id);
}

SqliteResult SqliteInserter::add_stored(Delta* sum, int64_t writer_id) {
  SqliteStatement& select = select_stats_;
  select.bind(1, sum->partner_id);
  bind_time(&select, 2, sum->minute_us, &minute_);
  select.bind(3, writer_id);
  bool row = false;
  const SqliteResult result = select.step(&row);
  if (!row) return result;
  sum->conversion_count += select.integer(0);
  sum->duplicate_count += select.integer(1);
  sum->quarantined_count += select.integer(2);
  Decimal sale_amount;
  Decimal earning;
  const bool sums_read =
      parse_sum(select.text(3), &sale_amount) && parse_sum(select.text(4), &earning);
  int64_t time_us = 0;
  for (const int column : {5, 6}) {
    if (parse_time_text(select.text(column), &time_us)) {
      widen(&sum->first_conversion_at_us, &sum->last_conversion_at_us, time_us);
    }
  }
  select.reset();
  if (!sums_read) {
    return connection_->fail(SqliteResult::schema,
                             "postback_stats holds a sum that is not a decimal, minute " + minute_);
  }
  sum->sale_amount.add(sale_amount);
  sum->earning.add(earning);
  return SqliteResult::ok;
}

SqliteResult SqliteInserter::write_stats(const Delta& sum, int64_t writer_id) {
  SqliteStatement& replace = replace_stats_;
  replace.bind(1, sum.partner_id);
  bind_time(&replace, 2, sum.minute_us, &minute_);
  replace.bind(3, writer_id);
  replace.bind(4, sum.conversion_count);
  replace.bind(5, sum.duplicate_count);
  replace.bind(6, sum.quarantined_count);
  bind_decimal(&replace, 7, sum.sale_amount, &sale_amount_);
  bind_decimal(&replace, 8, sum.earning, &earning_);
  bind_time(&replace, 9, sum.first_conversion_at_us, &first_);
  bind_time(&replace, 10, sum.last_conversion_at_us, &last_);
  return replace.run();
}

// The rows of a batch mostly fall into one minute, two at its turn: searched from the newest.
SqliteInserter::Delta& SqliteInserter::delta_of(int32_t partner_id, int64_t time_us) {
  const int64_t minute_us = base::minute_floor_us(time_us);
  for (auto delta = deltas_.rbegin(); delta != deltas_.rend(); ++delta) {
    if (delta->minute_us == minute_us && delta->partner_id == partner_id) return *delta;
  }
  Delta& delta = deltas_.emplace_back();
  delta.partner_id = partner_id;
  delta.minute_us = minute_us;
  return delta;
}

}  // namespace postback::store
