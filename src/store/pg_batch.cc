#include "store/pg_batch.h"

#include <algorithm>

#include "base/check.h"
#include "base/time.h"

namespace postback::store {
namespace {

// One element per row; `add` writes the element of a row.
template <typename Rows, typename Add>
void add_column(const Rows& rows, PgType type, PgParameterList* list, Add add) {
  PgArrayWriter array(list->add(), type, rows.size());
  for (const auto& row : rows) add(row, &array);
}

const Conversion& conversion_of(const BatchRow& row) {
  return *row.conversion;
}
const Conversion& conversion_of(const Conversion* row) {
  return *row;
}

template <typename Rows>
void add_field(const Rows& rows, Field field, PgParameterList* list) {
  const PgType type = field == Field::body ? PgType::bytea : PgType::text;
  add_column(rows, type, list, [field](const auto& row, PgArrayWriter* array) {
    const Conversion& conversion = conversion_of(row);
    if (conversion.has(field)) {
      array->add_bytes(conversion.text(field));
    } else {
      array->add_null();
    }
  });
}

template <typename Rows>
void add_ids(const Rows& rows, PgParameterList* list) {
  add_column(rows, PgType::int8, list,
             [](const auto& row, PgArrayWriter* array) { array->add_int8(conversion_of(row).id); });
}

template <typename Rows>
void add_received_at(const Rows& rows, PgParameterList* list) {
  add_column(rows, PgType::timestamptz, list, [](const auto& row, PgArrayWriter* array) {
    array->add_timestamptz(conversion_of(row).received_at_us);
  });
}

void add_amounts(const std::vector<BatchRow>& rows, std::optional<Decimal> Conversion::*amount,
                 PgParameterList* list) {
  add_column(rows, PgType::text, list, [amount](const BatchRow& row, PgArrayWriter* array) {
    if (const std::optional<Decimal>& value = row.conversion->*amount) {
      array->add_decimal(*value);
    } else {
      array->add_null();
    }
  });
}

MinuteStats* minute_of(int64_t minute_us, std::vector<MinuteStats>* minutes) {
  // Nearly always the last one again: a batch spans one minute or two.
  for (size_t i = minutes->size(); i > 0; --i) {
    if ((*minutes)[i - 1].minute_us == minute_us) return &(*minutes)[i - 1];
  }
  MinuteStats fresh;
  fresh.minute_us = minute_us;
  minutes->push_back(fresh);
  return &minutes->back();
}

}  // namespace

base::TextBuffer* PgParameterList::add() {
  CHECK(count_ < kCountMax);
  nulls_[static_cast<size_t>(count_)] = false;
  base::TextBuffer* value = &values_[static_cast<size_t>(count_++)];
  value->clear(kBufferBytesKept);
  return value;
}

void PgParameterList::add_int4(int32_t value) {
  base::TextBuffer* out = add();
  out->close(put_int4(out->open(4), value));
}

void PgParameterList::add_int8(int64_t value) {
  base::TextBuffer* out = add();
  out->close(put_int8(out->open(8), value));
}

void PgParameterList::add_timestamptz(int64_t time_us) {
  base::TextBuffer* out = add();
  out->close(put_timestamptz(out->open(8), time_us));
}

void PgParameterList::add_decimal(const Decimal& value) {
  base::TextBuffer* out = add();
  out->close(value.write_to(out->open(Decimal::kTextBytesMax)));
}

void PgParameterList::add_null() {
  add();
  nulls_[static_cast<size_t>(count_ - 1)] = true;
}

PgParameterList::Arrays PgParameterList::arrays() const {
  Arrays arrays;
  for (size_t i = 0; i < static_cast<size_t>(count_); ++i) {
    const std::string_view value = values_[i].view();
    arrays.values[i] = nulls_[i] ? nullptr : value.data();
    arrays.sizes[i] = static_cast<int>(value.size());
    arrays.formats[i] = 1;
  }
  return arrays;
}

void sum_by_minute(const std::vector<BatchRow>& rows, std::vector<MinuteStats>* minutes) {
  minutes->clear();
  for (const BatchRow& row : rows) {
    const Conversion& conversion = *row.conversion;
    const int64_t at_us = conversion.received_at_us;
    MinuteStats* minute = minute_of(base::minute_floor_us(at_us), minutes);
    const bool first = minute->conversion_count == 0;
    minute->first_us = first ? at_us : std::min(minute->first_us, at_us);
    minute->last_us = first ? at_us : std::max(minute->last_us, at_us);
    ++minute->conversion_count;
    if (conversion.usd_sale_amount) minute->sale_amount.add(*conversion.usd_sale_amount);
    if (conversion.usd_earning) minute->earning.add(*conversion.usd_earning);
  }
}

void add_duplicates(int64_t minute_us, int64_t count, std::vector<MinuteStats>* minutes) {
  minute_of(minute_us, minutes)->duplicate_count += count;
}

void encode_conversions(int32_t partner_id, const std::vector<BatchRow>& rows,
                        PgParameterList* list) {
  list->clear();
  list->add_int4(partner_id);
  add_ids(rows, list);
  add_field(rows, Field::conversion_id, list);
  add_field(rows, Field::offer_id, list);
  add_field(rows, Field::offer_name, list);
  add_column(rows, PgType::timestamptz, list, [](const BatchRow& row, PgArrayWriter* array) {
    if (row.conversion->conversion_datetime_us) {
      array->add_timestamptz(*row.conversion->conversion_datetime_us);
    } else {
      array->add_null();
    }
  });
  add_amounts(rows, &Conversion::usd_sale_amount, list);
  add_amounts(rows, &Conversion::usd_earning, list);
  for (const Field field :
       {Field::media_id, Field::sub_id, Field::click_id, Field::processing_error, Field::raw_data,
        Field::request_headers, Field::request_ip}) {
    add_field(rows, field, list);
  }
  add_received_at(rows, list);
}

void encode_find_stored(int32_t partner_id, int64_t writer_id, const std::vector<BatchRow>& rows,
                        PgParameterList* list) {
  CHECK(!rows.empty());
  list->clear();
  list->add_int4(partner_id);
  list->add_int8(writer_id);
  add_ids(rows, list);
  int64_t newest_us = INT64_MIN;
  for (const BatchRow& row : rows) newest_us = std::max(newest_us, row.conversion->received_at_us);
  list->add_timestamptz(base::minute_floor_us(newest_us));
  add_field(rows, Field::conversion_id, list);
}

void encode_sample(int32_t partner_id, const std::vector<std::string>& conversion_ids,
                   PgParameterList* list) {
  list->clear();
  list->add_int4(partner_id);
  add_column(conversion_ids, PgType::text, list,
             [](const std::string& id, PgArrayWriter* array) { array->add_bytes(id); });
}

void encode_quarantine(int32_t partner_id, int64_t writer_id,
                       const std::vector<const Conversion*>& rows, PgParameterList* list) {
  list->clear();
  list->add_int4(partner_id);
  list->add_int8(writer_id);
  add_ids(rows, list);
  add_received_at(rows, list);
  add_column(rows, PgType::text, list, [](const Conversion* row, PgArrayWriter* array) {
    array->add_bytes(reason_name(row->reason));
  });
  add_field(rows, Field::fault_field, list);
  // The column is NOT NULL; an absent text is an empty one.
  add_column(rows, PgType::text, list, [](const Conversion* row, PgArrayWriter* array) {
    array->add_bytes(row->text(Field::fault_message));
  });
  for (const Field field : {Field::conversion_id, Field::method, Field::target, Field::raw_data,
                            Field::request_headers, Field::body, Field::request_ip}) {
    add_field(rows, field, list);
  }
}

void encode_stats(int32_t partner_id, int64_t writer_id, const MinuteStats& minute,
                  PgParameterList* list) {
  list->clear();
  list->add_int4(partner_id);
  list->add_timestamptz(minute.minute_us);
  list->add_int8(writer_id);
  list->add_int8(minute.conversion_count);
  list->add_int8(minute.duplicate_count);
  list->add_decimal(minute.sale_amount);
  list->add_decimal(minute.earning);
  for (const int64_t time_us : {minute.first_us, minute.last_us}) {
    if (minute.conversion_count > 0) {
      list->add_timestamptz(time_us);
    } else {
      list->add_null();
    }
  }
}

}  // namespace postback::store
