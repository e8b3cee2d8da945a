// A batch as parameters of the prepared statements (pg_statements.h), in binary. The buffers are
// kept from batch to batch, so a batch costs no allocation once they have grown.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/text_buffer.h"
#include "postback/decimal.h"
#include "postback/store.h"
#include "store/pg_array.h"

namespace postback::store {

// The values of one execution, in order.
class PgParameterList {
 public:
  static constexpr int kCountMax = 17;

  void clear() { count_ = 0; }
  // The buffer of the next value, empty. Valid until clear().
  base::TextBuffer* add();
  void add_int4(int32_t value);
  void add_int8(int64_t value);
  void add_timestamptz(int64_t time_us);
  void add_decimal(const Decimal& value);  // As text.
  void add_null();
  int count() const { return count_; }
  std::string_view value(int index) const { return values_[static_cast<size_t>(index)].view(); }

  // As libpq takes them. The values stay where they are until clear().
  struct Arrays {
    std::array<const char*, kCountMax> values;
    std::array<int, kCountMax> sizes;
    std::array<int, kCountMax> formats;
  };
  Arrays arrays() const;

 private:
  // A buffer that one huge batch made larger than this is given back.
  static constexpr size_t kBufferBytesKept = 4 * 1024 * 1024;
  std::array<base::TextBuffer, kCountMax> values_;
  std::array<bool, kCountMax> nulls_{};
  int count_ = 0;
};

// The sums of one minute. postback_stats is kept by minute of receipt.
struct MinuteStats {
  int64_t minute_us = 0;
  int64_t conversion_count = 0;
  int64_t duplicate_count = 0;
  Decimal sale_amount;
  Decimal earning;
  int64_t first_us = 0;  // Only with conversion_count > 0, like last_us.
  int64_t last_us = 0;
};

// Sums of the rows by minute, every minute once. Empties *minutes first.
void sum_by_minute(const std::vector<BatchRow>& rows, std::vector<MinuteStats>* minutes);
void add_duplicates(int64_t minute_us, int64_t count, std::vector<MinuteStats>* minutes);

// $1 to $16 of insert_plain and insert_once.
void encode_conversions(int32_t partner_id, const std::vector<BatchRow>& rows,
                        PgParameterList* list);
// All of find_stored. Duplicates are counted in the minute of the newest row. `rows` not empty.
void encode_find_stored(int32_t partner_id, int64_t writer_id, const std::vector<BatchRow>& rows,
                        PgParameterList* list);
// All of find_sample.
void encode_sample(int32_t partner_id, const std::vector<std::string>& conversion_ids,
                   PgParameterList* list);
// All of quarantine_plain and quarantine_once.
void encode_quarantine(int32_t partner_id, int64_t writer_id,
                       const std::vector<const Conversion*>& rows, PgParameterList* list);
// All of add_stats.
void encode_stats(int32_t partner_id, int64_t writer_id, const MinuteStats& minute,
                  PgParameterList* list);

}  // namespace postback::store
