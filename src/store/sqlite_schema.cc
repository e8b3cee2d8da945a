#include "store/sqlite_schema.h"

#include <cstdint>
#include <string>

#include "store/schema.h"

namespace postback::store {
namespace {

// The first column of the first row as a number, 0 without a row.
SqliteResult query_integer(SqliteConnection* connection, const char* sql, int64_t* out) {
  SqliteStatement statement;
  SqliteResult result = statement.prepare(connection, sql);
  bool row = false;
  if (result == SqliteResult::ok) result = statement.step(&row);
  *out = row ? statement.integer(0) : 0;
  return result;
}

// Table postback_schema has one row with the version; no table is version 0.
SqliteResult read_version(SqliteConnection* connection, int64_t* version) {
  int64_t table_count = 0;
  const SqliteResult result = query_integer(
      connection,
      "SELECT count(*) FROM sqlite_schema WHERE type='table' AND name='postback_schema'",
      &table_count);
  *version = 0;
  if (result != SqliteResult::ok || table_count == 0) return result;
  return query_integer(connection, "SELECT max(version) FROM postback_schema", version);
}

SqliteResult migrate(SqliteConnection* connection, int64_t from_version) {
  SqliteResult result =
      connection->run("CREATE TABLE IF NOT EXISTS postback_schema (version INTEGER NOT NULL)");
  if (result != SqliteResult::ok) return result;
  for (int64_t version = from_version; version < kSchemaVersion; ++version) {
    result = connection->run(sqlite_migrations()[static_cast<size_t>(version)]);
    if (result != SqliteResult::ok) return result;
  }
  const std::string write_version =
      "INSERT INTO postback_schema (version) SELECT 0"
      " WHERE NOT EXISTS (SELECT 1 FROM postback_schema);"
      "UPDATE postback_schema SET version = " +
      std::to_string(kSchemaVersion) +
      ", incarnation = coalesce(incarnation, lower(hex(randomblob(16))))";
  return connection->run(write_version.c_str());
}

SqliteResult verify_unique_index(SqliteConnection* connection) {
  int64_t fits = 0;
  const SqliteResult result = query_integer(
      connection,
      "SELECT count(*) FROM pragma_index_list('partner_conversions') AS list"
      " WHERE list.name = 'partner_conversions_once' AND list.\"unique\" = 1"
      " AND (SELECT group_concat(name) FROM"
      "  (SELECT name FROM pragma_index_info('partner_conversions_once') ORDER BY seqno))"
      "  = 'conversion_id,partner_id'",
      &fits);
  if (result != SqliteResult::ok || fits == 1) return result;
  return connection->fail(
      SqliteResult::schema,
      "the unique index partner_conversions_once (conversion_id, partner_id) WHERE is_duplicate = 0"
      " is missing in the SQLite database; create it again before conversions can be stored");
}

SqliteResult open_in_transaction(SqliteConnection* connection) {
  int64_t version = 0;
  SqliteResult result = read_version(connection, &version);
  if (result != SqliteResult::ok) return result;
  if (version > kSchemaVersion || version < 0) {
    return connection->fail(SqliteResult::schema,
                            "the database has schema version " + std::to_string(version) +
                                ", this program knows up to " + std::to_string(kSchemaVersion) +
                                ": run the newer postbackd");
  }
  if (version < kSchemaVersion) result = migrate(connection, version);
  if (result != SqliteResult::ok) return result;
  return verify_unique_index(connection);
}

}  // namespace

SqliteResult open_sqlite_schema(SqliteConnection* connection) {
  SqliteResult result = connection->run("BEGIN IMMEDIATE");
  if (result != SqliteResult::ok) return result;
  result = open_in_transaction(connection);
  if (result == SqliteResult::ok) result = connection->run("COMMIT");
  if (result != SqliteResult::ok && connection->in_transaction()) {
    const std::string error = connection->error();
    connection->run("ROLLBACK");
    connection->fail(result, error);
  }
  return result;
}

}  // namespace postback::store
