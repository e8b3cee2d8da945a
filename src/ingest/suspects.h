// Rows of batches that a database failed without naming a row: a trigger that calls a function
// which is not there, a time limit, a crash of the server. Either one row is at fault, or the
// database is. A suspect goes out again in a small batch, with other suspects only; the batch that
// fails then leaves fewer, until one row fails alone.
//
// A row that fails alone is at fault only if the database takes others: between each failure and
// the next, and after the last one, another conversion must have been stored. A database that fails
// whole stores none, so no number of failures makes a row of an outage refused.
//
//   unknown → suspect (its batch failed) → alone (failed by itself) → refused
//   any → unknown: it was stored, or its suspicion was too old to be kept
//
// Owner: a lane. Thread: its core's. Times are monotonic. A row is known by its conversion id, so a
// copy that its sender sends again inherits the suspicion; a row of the quarantine by its row id.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "ingest/flight.h"
#include "ingest/limits.h"

namespace postback::ingest {

class Suspects {
 public:
  bool empty() const { return rows_.empty(); }
  // Rows that failed alone and were not stored since.
  bool any_alone() const { return alone_count_ > 0; }

  // The database failed the batch; `flight.error` has its words. A single row counts as failed
  // alone only if the flight is marked as suspect: then no other batch was with the store, whose
  // failure it may have shared.
  void failed(const Flight& flight, uint64_t now_ns);
  // The database stored the batch.
  void committed(const Flight& flight, uint64_t now_ns);
  // The row has left the lane's sight: it went to the quarantine.
  void forget(const Postback& row);

  // Puts rows that may go together to the front, and returns how many these are: at least one of a
  // flight that has rows. What failed alone comes last.
  size_t arrange(Flight* flight);

  bool contains(const Postback& row) { return find(row) != nullptr; }
  // Of a row that makes up a flight. False: it failed alone, and others are to be tried first.
  bool may_try(const Postback& row, uint64_t now_ns);
  // It has failed alone again and again while the database took others.
  bool is_refused(const Postback& row);
  // Whether the database took another row between its last failure and the one before.
  bool is_behind_others(const Postback& row);
  // The database's words at its last failure; empty for a row that is no suspect.
  std::string error(const Postback& row);

 private:
  struct Entry {
    size_t group_rows = 1;  // At most so many rows may be in its batch.
    uint32_t attempts = 0;  // That failed alone.
    uint32_t failures = 0;  // Of these, each with others stored since the one before.
    bool behind_others = false;
    uint64_t stored_then = 0;  // stored_ at its last failure.
    uint64_t failed_ns = 0;
    std::string error;
  };

  Entry* find(const Postback& row);
  void erase(const Postback& row);
  size_t group_of(const Postback& row);
  size_t arrange_rows(std::vector<Postback*>* rows);

  static constexpr uint32_t kFailuresMax = 3;
  // Several batches of the largest size. When there are more, suspicion begins anew.
  static constexpr size_t kRowsMax = 8 * kBatchRowsMax;
  // Without a failure for so long the ones left are rows that never came again.
  static constexpr uint64_t kKeptNs = 600'000'000'000;

  absl::flat_hash_map<std::string, Entry> rows_;
  size_t alone_count_ = 0;
  uint64_t failed_ns_ = 0;  // The last failure.
  uint64_t stored_ = 0;     // Batches with a conversion that was new to the database.
  std::string key_;         // Scratch of find().
};

}  // namespace postback::ingest
