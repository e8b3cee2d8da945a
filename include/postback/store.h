// The store seam: one partner database (or one lane's share of it) as the lane sees it. Two real
// backends in src/store: PostgreSQL and SQLite.
//
// Thread: all calls and all callbacks happen on the lane's core. No call blocks.
// Callbacks come from within complete()/receive() of the store, never from inside submit(),
// read() or close().
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "postback/conversion.h"
#include "postback/decimal.h"
#include "postback/message.h"

namespace postback {

enum class RowResult : uint8_t { pending, stored, duplicate };

struct BatchRow {
  const Conversion* conversion = nullptr;  // Unchanged from submit() to batch_done().
  RowResult result = RowResult::pending;   // Set by the store when the batch is committed.
};

enum class BatchResult : uint8_t {
  pending,
  committed,    // Durable: every row is stored or was there before (duplicate).
  unavailable,  // Database away, slow or full; the outcome may be unknown. Repeating is safe.
  rejected,     // A value in it was refused (SQLSTATE 22*, 23*); nothing is stored. Bisect.
  schema,       // The schema does not fit (42*); nothing is stored. A person is needed.
};

// One transaction, of one partner. Owned by the lane; lent to the store from submit() to
// batch_done().
struct Batch : Message {
  std::vector<BatchRow> conversions;           // reason == none; sorted by conversion_id, distinct.
  std::vector<const Conversion*> quarantined;  // reason != none.
  // Repeats recognised in memory since the last batch, to be added to the statistics of
  // partner_id (named here because a batch may hold nothing else; it is that of the rows).
  int64_t duplicate_count = 0;
  int32_t partner_id = 0;
  int64_t duplicates_at_us = 0;  // The time under which duplicate_count is filed.
  // Every id is believed new (the lane's set is complete for it): a plain INSERT may be tried
  // first. Only a hint; the unique index decides.
  bool expected_new = false;
  BatchResult result = BatchResult::pending;
  std::string error;  // result other than committed: what the database said, for log and health.

  bool empty() const { return conversions.empty() && quarantined.empty() && duplicate_count == 0; }
};

// Statistics of a partner since a point in time, exact: kept in table postback_stats as rows come
// in, and merged there when they are old (retention/stats_window.h).
struct StoreStats {
  int64_t conversion_count = 0;
  int64_t duplicate_count = 0;
  int64_t quarantined_count = 0;
  Decimal sale_amount;
  Decimal earning;
  std::optional<int64_t> first_conversion_at_us;  // received_at of the first and the last.
  std::optional<int64_t> last_conversion_at_us;
};

// One row of partner_conversions for the page of /conversions. Absent values are nullopt.
struct StoredConversion {
  int64_t id = 0;
  std::string conversion_id;
  std::optional<std::string> offer_id, offer_name, media_id, sub_id, click_id;
  std::optional<std::string> usd_sale_amount, usd_earning;  // Exact decimals.
  std::optional<int64_t> conversion_datetime_us;
  std::optional<std::string> processing_error, raw_data;  // raw_data: JSON text.
  bool is_processed = false, is_duplicate = false;
  int64_t received_at_us = 0;
};

// How much of a page's answer its rows may take: a page ends with the row that reaches it. A row
// has 400 KB at most (its parameters, each byte escaped), and a usual page of 1000 rows 700 KB.
constexpr int64_t kPageBytesMax = 1024 * 1024;

// What a row takes in an answer: names, numbers and times, which are about the same in all of them,
// and the texts that differ.
constexpr int64_t kPageRowOwnBytes = 400;
inline int64_t page_row_bytes(const StoredConversion& row) {
  size_t bytes = kPageRowOwnBytes + row.conversion_id.size();
  for (const auto* text : {&row.offer_id, &row.offer_name, &row.media_id, &row.sub_id,
                           &row.click_id, &row.processing_error, &row.raw_data}) {
    if (text->has_value()) bytes += (*text)->size();
  }
  return static_cast<int64_t>(bytes);
}

// A read. Owned by the caller; lent to the store from read() to read_done().
struct StoreRead : Message {
  enum class Kind : uint8_t { stats, conversions };
  Kind kind = Kind::stats;
  int32_t partner_id = 0;
  int64_t since_us = 0;               // stats: the rows from the minute that holds this time on.
  int32_t limit = 10;                 // conversions: at most 1000 rows, newest (highest id) first,
  int64_t before_id = INT64_MAX;      // with ids below this one, until bytes_max is reached
  int64_t bytes_max = kPageBytesMax;  // (by page_row_bytes(); one row there always is).
  // Result:
  bool ok = false;
  std::string error;
  StoreStats stats;
  std::vector<StoredConversion> conversions;
  bool more = false;  // conversions: the page ended at one of its bounds, so there may be more.
};

class StoreClient {
 public:
  // Exactly once per submit(), also when the store is closed meanwhile. Batches finish in the order
  // of submission.
  virtual void batch_done(Batch& batch) = 0;
  // Exactly once per read().
  virtual void read_done(StoreRead& read) = 0;
  // can_submit() may have become true, or status() changed.
  virtual void store_changed() = 0;
  // The answer to close(): nothing of the store is outstanding, it may be destroyed (but not from
  // within this callback).
  virtual void store_closed() = 0;

 protected:
  ~StoreClient() = default;
};

enum class StoreState : uint8_t {
  idle,        // No connection; one is made at need.
  connecting,  // Resolving, connecting, creating the database, migrating.
  up,
  down,          // The last attempt failed; the next follows after a back-off. submit() is refused.
  schema_wrong,  // Needs a person (missing unique index, newer schema); tried again every 5 s.
};

constexpr const char* store_state_name(StoreState state) {
  switch (state) {
    case StoreState::idle:
      return "idle";
    case StoreState::connecting:
      return "connecting";
    case StoreState::up:
      return "up";
    case StoreState::down:
      return "down";
    case StoreState::schema_wrong:
      return "schema_wrong";
  }
  return "down";
}

struct StoreStatus {
  StoreState state = StoreState::idle;
  std::string error;  // Of the last failure, without secrets; empty when up.
  uint32_t connections = 0;
  uint32_t batches_in_flight = 0;
};

class Store {
 public:
  virtual ~Store() = default;
  virtual const char* kind() const = 0;  // "sqlite" or "postgresql".
  // False while as many batches are in flight as pay off, or while the store is down. True when
  // idle or connecting (one batch may wait for the connection).
  virtual bool can_submit() const = 0;
  // Requires can_submit(). `batch` has not come back yet.
  virtual void submit(Batch& batch) = 0;
  // Reads run beside the batches, on a connection of their own, opened at need.
  virtual void read(StoreRead& read) = 0;
  // Opens the connection (creates and migrates the database) ahead of the first batch.
  virtual void open() = 0;
  // Called about every 50 ms: time limits, retries, idle connections.
  virtual void tick(uint64_t now_ns) = 0;
  virtual StoreStatus status() const = 0;
  // Terminate, join: batches and reads outstanding are finished as they can be (committed, or
  // unavailable within the time limit), then store_closed() follows. No call after it.
  virtual void close() = 0;
};

}  // namespace postback
