// Writes batches within a transaction that the caller has begun: conversions, quarantine rows and
// the statistics that belong to them.
//
// Thread: the writer's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "postback/store.h"
#include "store/sqlite_connection.h"

namespace postback::store {

class SqliteInserter {
 public:
  SqliteResult prepare(SqliteConnection* connection);
  void finalize();

  // Sets the result of every row; it counts only if the transaction is committed. On any result
  // but ok the transaction must be rolled back. Repeating a batch whose commit went through
  // unnoticed changes nothing but adds its duplicate_count once more.
  SqliteResult apply(Batch* batch, int64_t writer_id);

 private:
  // What a batch adds to one row of postback_stats.
  struct Delta {
    int32_t partner_id = 0;
    int64_t minute_us = 0;
    int64_t conversion_count = 0;
    int64_t duplicate_count = 0;
    int64_t quarantined_count = 0;
    Decimal sale_amount;
    Decimal earning;
    std::optional<int64_t> first_conversion_at_us;
    std::optional<int64_t> last_conversion_at_us;
  };

  SqliteResult insert_conversion(BatchRow* row, Batch* batch);
  SqliteResult recognise_earlier(BatchRow* row);
  SqliteResult insert_quarantined(const Conversion& conversion);
  SqliteResult merge(const Delta& delta, int64_t writer_id);
  SqliteResult add_stored(Delta* sum, int64_t writer_id);
  SqliteResult write_stats(const Delta& sum, int64_t writer_id);
  Delta& delta_of(int32_t partner_id, int64_t time_us);

  SqliteConnection* connection_ = nullptr;
  SqliteStatement insert_conversion_;
  SqliteStatement find_earlier_;
  SqliteStatement insert_quarantined_;
  SqliteStatement select_stats_;
  SqliteStatement replace_stats_;
  std::vector<Delta> deltas_;  // Of the batch being applied.
  // Text of bound values, which must outlive the step.
  std::string received_at_, conversion_datetime_, sale_amount_, earning_, minute_, first_, last_;
};

}  // namespace postback::store
