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

SqliteResult read_incarnation(SqliteConnection* connection, std::string* incarnation) {
  SqliteStatement statement;
  SqliteResult result = statement.prepare(connection, "SELECT incarnation FROM postback_schema");
  bool row = false;
  if (result == SqliteResult::ok) result = statement.step(&row);
  incarnation->assign(row ? statement.text(0) : std::string_view());
  return result;
}

SqliteResult open_in_transaction(SqliteConnection* connection, bool may_create,
                                 std::string* incarnation, bool* gone) {
  int64_t version = 0;
  SqliteResult result = read_version(connection, &version);
  if (result != SqliteResult::ok) return result;
  if (version == 0 && !may_create) {
    *gone = true;
    return connection->fail(SqliteResult::schema, "the file has no tables of ours");
  }
  if (version > kSchemaVersion || version < 0) {
    return connection->fail(SqliteResult::schema,
                            "the database has schema version " + std::to_string(version) +
                                ", this program knows up to " + std::to_string(kSchemaVersion) +
                                ": run the newer postbackd");
  }
  if (version < kSchemaVersion) result = migrate(connection, version);
  if (result != SqliteResult::ok) return result;
  if (result == SqliteResult::ok) result = verify_unique_index(connection);
  return result == SqliteResult::ok ? read_incarnation(connection, incarnation) : result;
}

SqliteResult find_codes(SqliteConnection* connection, const PartnerClaim& claim,
                        KnownCodes* known) {
  SqliteStatement of_id;
  SqliteResult result = of_id.prepare(
      connection,
      "SELECT partner_code, registry_id FROM postback_partner_codes WHERE partner_id = ?1");
  bool row = false;
  of_id.bind(1, int64_t{claim.partner_id});
  if (result == SqliteResult::ok) result = of_id.step(&row);
  if (result != SqliteResult::ok) return result;
  if (row) {
    known->code_of_id = std::string(of_id.text(0));
    known->registry_of_id = of_id.text(1);
  }
  SqliteStatement of_code;
  result = of_code.prepare(connection,
                           "SELECT partner_id, registry_id FROM postback_partner_codes"
                           " WHERE partner_code = ?1 AND partner_id <> ?2 ORDER BY partner_id");
  of_code.bind(1, claim.partner_code);
  of_code.bind(2, int64_t{claim.partner_id});
  if (result == SqliteResult::ok) result = of_code.step(&row);
  if (result != SqliteResult::ok || !row) return result;
  known->other_id_of_code = static_cast<int32_t>(of_code.integer(0));
  known->registry_of_code = of_code.text(1);
  return result;
}

SqliteResult write_claim(SqliteConnection* connection, const PartnerClaim& claim) {
  SqliteStatement statement;
  const SqliteResult result = statement.prepare(
      connection,
      "INSERT INTO postback_partner_codes (partner_id, partner_code, registry_id)"
      " VALUES (?1, ?2, ?3)"
      " ON CONFLICT (partner_id) DO UPDATE SET partner_code = excluded.partner_code");
  if (result != SqliteResult::ok) return result;
  statement.bind(1, int64_t{claim.partner_id});
  statement.bind(2, claim.partner_code);
  statement.bind(3, claim.registry_id);
  return statement.run();
}

}  // namespace

// The writer is the only one to write: what was read still holds when it is written.
SqliteResult check_sqlite_claim(SqliteConnection* connection, const PartnerClaim& claim) {
  KnownCodes known;
  const SqliteResult result = find_codes(connection, claim, &known);
  if (result != SqliteResult::ok) return result;
  std::string error;
  switch (judge_claim(claim, known, &error)) {
    case ClaimVerdict::fits:
      return SqliteResult::ok;
    case ClaimVerdict::absent:
    case ClaimVerdict::renamed:
      return write_claim(connection, claim);
    case ClaimVerdict::clash:
      return connection->fail(SqliteResult::schema, error);
  }
  return SqliteResult::schema;
}

SqliteResult open_sqlite_schema(SqliteConnection* connection, bool may_create,
                                std::string* incarnation, bool* gone) {
  SqliteResult result = connection->run("BEGIN IMMEDIATE");
  if (result != SqliteResult::ok) return result;
  result = open_in_transaction(connection, may_create, incarnation, gone);
  if (result == SqliteResult::ok) result = connection->run("COMMIT");
  if (result != SqliteResult::ok && connection->in_transaction()) {
    const std::string error = connection->error();
    connection->run("ROLLBACK");
    connection->fail(result, error);
  }
  return result;
}

}  // namespace postback::store
