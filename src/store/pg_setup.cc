#include "store/pg_setup.h"

#include <cstdlib>

#include "base/check.h"
#include "base/pg_remedy.h"
#include "store/pg_sqlstate.h"
#include "store/schema.h"

namespace postback::store {
namespace {

constexpr int kServerVersionMin = 140000;  // PostgreSQL 14: pipeline mode's server side is older.

// version | index as it should be (NULL: there is none). All parts of the index count: without the
// predicate history rows could not be kept, with other columns repeats would be stored twice.
constexpr const char* kCheckSql =
    "SELECT (SELECT max(version) FROM postback_schema),"
    " (SELECT i.indisunique AND i.indisvalid AND i.indisready AND i.indimmediate"
    " AND i.indnkeyatts = 2 AND pg_get_indexdef(i.indexrelid, 1, true) = 'conversion_id'"
    " AND pg_get_indexdef(i.indexrelid, 2, true) = 'partner_id'"
    " AND pg_get_expr(i.indpred, i.indrelid) = '(NOT is_duplicate)'"
    " FROM pg_index i WHERE i.indexrelid = to_regclass('partner_conversions_once')"
    " AND i.indrelid = to_regclass('partner_conversions'))";

// The number is "postback" in ASCII. The lock ends with the transaction.
constexpr const char* kLockSql =
    "BEGIN ISOLATION LEVEL READ COMMITTED;"
    "SET LOCAL lock_timeout = '25s'; SET LOCAL statement_timeout = '25s';"
    "SELECT pg_advisory_xact_lock(8101817619853501291);"
    "CREATE TABLE IF NOT EXISTS postback_schema (version integer NOT NULL);"
    "SELECT coalesce(max(version), 0) FROM postback_schema";

std::string migration_sql(int from_version) {
  const auto migrations = postgres_migrations();
  std::string sql;
  for (size_t version = static_cast<size_t>(from_version); version < migrations.size(); ++version) {
    sql += migrations[version];
    sql += ";";
  }
  sql +=
      "INSERT INTO postback_schema (version) SELECT 0"
      " WHERE NOT EXISTS (SELECT FROM postback_schema);"
      "UPDATE postback_schema SET version = " +
      std::to_string(kSchemaVersion) +
      ", incarnation = coalesce(incarnation, gen_random_uuid()::text); COMMIT";
  return sql;
}

std::string newer_version_error(int version) {
  return "the database has schema version " + std::to_string(version) +
         ", this program knows up to " + std::to_string(kSchemaVersion) +
         ": run the newer postbackd";
}

}  // namespace

void PgSetup::start() {
  migrated_ = false;
  error_.clear();
  begin(Step::settings);
}

void PgSetup::begin(Step step) {
  step_ = step;
  has_row_ = false;
  step_failed_ = false;
  sqlstate_.clear();
  switch (step) {
    case Step::settings:
      connection_->send_query(settings_sql().c_str());
      return;
    case Step::check:
      connection_->send_query(kCheckSql);
      return;
    case Step::lock:
      connection_->send_query(kLockSql);
      return;
    case Step::migrate: {
      const int version = std::atoi(row_[0].c_str());
      // Another process was quicker: nothing left to do.
      const std::string sql = version == kSchemaVersion ? "COMMIT" : migration_sql(version);
      connection_->send_query(sql.c_str());
      return;
    }
    case Step::prepare:
      connection_->enter_pipeline();
      if (!is_pooled_) {
        for (const PgStatement& statement : statements_) {
          connection_->send_prepare(statement.name, statement.sql);
        }
      }
      connection_->send_sync();
      return;
  }
}

std::string PgSetup::settings_sql() {
  // 0 is no process, so nothing is set.
  const int backend_pid = pooler_expected_ ? 0 : PQbackendPID(connection_->raw());
  return "SELECT to_regclass('postback_schema') IS NOT NULL, current_setting('server_version_num'),"
         " getdatabaseencoding(), pg_backend_pid() = " +
         std::to_string(backend_pid) + ", " + pg_connection_settings(limits_, backend_pid);
}

PgSetup::Outcome PgSetup::result(const PGresult* result) {
  if (result == nullptr) return step_done();
  switch (PQresultStatus(result)) {
    case PGRES_TUPLES_OK:
      take_row(result);
      return Outcome::running;
    case PGRES_PIPELINE_SYNC:
      return step_done();
    case PGRES_COMMAND_OK:
    case PGRES_PIPELINE_ABORTED:
      return Outcome::running;
    default:
      break;
  }
  if (step_failed_) return Outcome::running;  // The first error is the cause.
  step_failed_ = true;
  const char* sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  sqlstate_ = sqlstate == nullptr ? "" : sqlstate;
  error_ = PQresultErrorMessage(result);
  // A line of its own, like PostgreSQL's hints.
  const std::string_view remedy = base::pg_statement_remedy(sqlstate_);
  if (!remedy.empty()) error_.append("\n").append(remedy);
  return Outcome::running;
}

void PgSetup::take_row(const PGresult* result) {
  has_row_ = PQntuples(result) > 0;
  for (int column = 0; column < 4; ++column) {
    const bool there = has_row_ && column < PQnfields(result);
    row_[column] = there ? PQgetvalue(result, 0, column) : "";
  }
}

PgSetup::Outcome PgSetup::step_done() {
  if (step_failed_) {
    if (is_of_a_pooler(sqlstate_)) {
      expect_pooler();
      return Outcome::failed;
    }
    return batch_result_of(sqlstate_) == BatchResult::schema ? Outcome::schema_wrong
                                                             : Outcome::failed;
  }
  switch (step_) {
    case Step::settings:
      return settings_done();
    case Step::check:
      return check_done();
    case Step::lock:
      return lock_done();
    case Step::migrate:
      begin(Step::check);
      return Outcome::running;
    case Step::prepare:
      return Outcome::ready;
  }
  return Outcome::failed;
}

PgSetup::Outcome PgSetup::settings_done() {
  if (std::atoi(row_[1].c_str()) < kServerVersionMin) {
    return wrong("the server is older than PostgreSQL 14 (server_version_num " + row_[1] + ")");
  }
  if (row_[2] != "UTF8") {
    return wrong("the database's encoding is " + row_[2] +
                 "; create it with ENCODING 'UTF8' TEMPLATE template0");
  }
  is_pooled_ = row_[3] != "t";
  begin(row_[0] == "t" ? Step::check : Step::lock);
  return Outcome::running;
}

PgSetup::Outcome PgSetup::check_done() {
  const int version = std::atoi(row_[0].c_str());
  if (version > kSchemaVersion) return wrong(newer_version_error(version));
  if (version < kSchemaVersion) {
    if (migrated_) return wrong("the schema version is not kept in table postback_schema");
    begin(Step::lock);
    return Outcome::running;
  }
  if (row_[1] != "t") {
    return wrong(
        std::string("the unique index partner_conversions_once is ") +
        (row_[1].empty() ? "missing" : "not as it should be") +
        ", repeats would be stored twice; drop what is there of it, remove double rows and run: "
        "CREATE UNIQUE INDEX partner_conversions_once ON partner_conversions "
        "(conversion_id, partner_id) WHERE NOT is_duplicate");
  }
  begin(Step::prepare);
  return Outcome::running;
}

PgSetup::Outcome PgSetup::lock_done() {
  const int version = std::atoi(row_[0].c_str());
  if (version > kSchemaVersion) return wrong(newer_version_error(version));
  migrated_ = true;
  begin(Step::migrate);
  return Outcome::running;
}

PgSetup::Outcome PgSetup::wrong(const std::string& why) {
  error_ = why;
  return Outcome::schema_wrong;
}

}  // namespace postback::store
