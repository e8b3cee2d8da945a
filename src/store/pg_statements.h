// The prepared statements of a PostgreSQL store. Every statement that takes rows takes arrays, one
// per column: one statement and one plan whatever the number of rows.
#pragma once

#include <span>

namespace postback::store {

struct PgStatement {
  const char* name;
  const char* sql;
};

// Parameters stand in pg_batch.cc, in the same order.
inline constexpr const char* kInsertPlain = "insert_plain";
inline constexpr const char* kInsertOnce = "insert_once";
inline constexpr const char* kFindStored = "find_stored";
inline constexpr const char* kQuarantinePlain = "quarantine_plain";
inline constexpr const char* kQuarantineOnce = "quarantine_once";
inline constexpr const char* kAddStats = "add_stats";
std::span<const PgStatement> pg_writer_statements();

// $1 partner, $2 text[]: conversion ids. One row, one column `found`: how many of them are stored.
inline constexpr const char* kFindSample = "find_sample";
// No parameters; see pg_facts.h.
inline constexpr const char* kLook = "look";
inline constexpr const char* kLookAtSchema = "look_at_schema";

// $1 partner, $2 timestamptz: the first minute.
inline constexpr const char* kReadStats = "read_stats";
// $1 partner, $2 bigint: ids below it, $3 bigint: how many (more when the last ones
// share an id).
inline constexpr const char* kReadConversions = "read_conversions";
std::span<const PgStatement> pg_reader_statements();

}  // namespace postback::store
