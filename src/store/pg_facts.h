// What a PostgreSQL server is asked about itself and our schema, when a connection is made and once
// a second while it is used. Pure functions but for libpq's result.
#pragma once

#include <libpq-fe.h>

#include <cstdint>
#include <string>

#include "postback/store.h"
#include "store/database_identity.h"

namespace postback::store {

struct PgFacts {
  enum class Index : uint8_t { missing, wrong, right };

  int version = 0;  // Of the schema; 0: not told.
  Index index = Index::missing;
  DatabaseIdentity identity;
  StandbyWait standby = StandbyWait::unknown;
};

// One row: the schema's part, of a database that has table postback_schema, whatever its version.
//
// The index is as it should be (NULL: there is none). All parts of it count: without the predicate
// history rows could not be kept, with other columns repeats would be stored twice. to_jsonb: the
// column is not there before version 3.
#define PG_SCHEMA_FACTS                                                                 \
  "SELECT (SELECT max(version) FROM postback_schema) AS version,"                       \
  " (SELECT i.indisunique AND i.indisvalid AND i.indisready AND i.indimmediate"         \
  " AND i.indnkeyatts = 2 AND pg_get_indexdef(i.indexrelid, 1, true) = 'conversion_id'" \
  " AND pg_get_indexdef(i.indexrelid, 2, true) = 'partner_id'"                          \
  " AND pg_get_expr(i.indpred, i.indrelid) = '(NOT is_duplicate)'"                      \
  " FROM pg_index i WHERE i.indexrelid = to_regclass('partner_conversions_once')"       \
  " AND i.indrelid = to_regclass('partner_conversions')) AS index_fits,"                \
  " (SELECT to_jsonb(s)->>'incarnation' FROM postback_schema s LIMIT 1) AS incarnation"

// The server's part of a row. Any role may ask on a PostgreSQL; other servers that speak its
// protocol may refuse, then the store does without. The name of a WAL file begins with the
// timeline, eight hexadecimal digits (PostgreSQL's manual, 9.27.3); pg_control_checkpoint() would
// know it only since the last checkpoint.
#define PG_SERVER_FACTS                                                              \
  " (SELECT system_identifier::text FROM pg_control_system()) AS system_identifier," \
  " CASE WHEN pg_is_in_recovery() THEN NULL"                                         \
  " ELSE substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END AS timeline,"       \
  " current_setting('synchronous_standby_names') <> ''"                              \
  " AND current_setting('synchronous_commit') NOT IN ('off', 'local') AS waits_for_standby"

// Takes what stands in the row, told by the names of the columns; others are left as they are.
void take_pg_facts(const PGresult* result, PgFacts* facts);

// Empty when the index is right.
std::string pg_index_error(const PgFacts& facts);

}  // namespace postback::store
