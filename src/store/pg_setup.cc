#include "store/pg_setup.h"

#include <cstdlib>

#include "base/check.h"
#include "base/pg_remedy.h"
#include "store/pg_sqlstate.h"
#include "store/schema.h"

namespace postback::store {
namespace {

constexpr int kServerVersionMin = 140000;  // PostgreSQL 14: pipeline mode's server side is older.

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

// As a literal of SQL. Codes and ids have no backslashes.
std::string quoted(const std::string& text) {
  std::string literal = "'";
  for (const char c : text) literal.append(c == '\'' ? 2 : 1, c);
  return literal + "'";
}

}  // namespace

void PgSetup::start(bool may_create) {
  may_create_ = may_create;
  migrated_ = false;
  claimed_ = false;
  facts_ = {};
  server_told_ = false;
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
      connection_->send_query(PG_SCHEMA_FACTS);
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
    case Step::server:
      connection_->send_query("SELECT" PG_SERVER_FACTS);
      return;
    case Step::codes:
      connection_->send_query(codes_sql().c_str());
      return;
    case Step::claim:
      connection_->send_query(claim_sql().c_str());
      return;
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
  if (step_ == Step::check || step_ == Step::server) take_pg_facts(result, &facts_);
  has_row_ = PQntuples(result) > 0;
  for (int column = 0; column < 4; ++column) {
    const bool there = has_row_ && column < PQnfields(result);
    row_[column] = there ? PQgetvalue(result, 0, column) : "";
  }
}

PgSetup::Outcome PgSetup::step_done() {
  if (step_failed_ && is_of_a_pooler(sqlstate_)) {
    expect_pooler();
    return Outcome::failed;
  }
  // A server that speaks the protocol and is none may refuse: then it is not known by itself.
  if (step_failed_ && step_ != Step::server) {
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
    case Step::server:
      server_told_ = !step_failed_;
      if (step_failed_) facts_.identity.system_identifier.clear();
      error_.clear();
      begin(claim_.partner_code.empty() ? Step::prepare : Step::codes);
      return Outcome::running;
    case Step::codes:
      return codes_done();
    case Step::claim:
      claimed_ = true;
      begin(Step::codes);
      return Outcome::running;
    case Step::prepare:
      return Outcome::ready;
  }
  return Outcome::failed;
}

// The code of our id and who gave it, then the other id of our code and who gave that.
std::string PgSetup::codes_sql() const {
  const std::string id = std::to_string(claim_.partner_id);
  const std::string of_id = " FROM postback_partner_codes WHERE partner_id = " + id + ")";
  const std::string of_code =
      " FROM postback_partner_codes WHERE partner_code = " + quoted(claim_.partner_code) +
      " AND partner_id <> " + id + " ORDER BY partner_id LIMIT 1)";
  return "SELECT (SELECT partner_code" + of_id + ", (SELECT registry_id" + of_id +
         ", (SELECT partner_id" + of_code + ", (SELECT registry_id" + of_code;
}

// The last word is the look after it: somebody else may claim the id at the same moment.
std::string PgSetup::claim_sql() const {
  return "INSERT INTO postback_partner_codes AS c (partner_id, partner_code, registry_id) VALUES "
         "(" +
         std::to_string(claim_.partner_id) + ", " + quoted(claim_.partner_code) + ", " +
         quoted(claim_.registry_id) +
         ") ON CONFLICT (partner_id) DO UPDATE SET partner_code = excluded.partner_code"
         " WHERE c.registry_id = excluded.registry_id AND c.registry_id <> ''";
}

PgSetup::Outcome PgSetup::codes_done() {
  KnownCodes known;
  if (!row_[0].empty()) known.code_of_id = row_[0];
  known.registry_of_id = row_[1];
  if (!row_[2].empty()) known.other_id_of_code = std::atoi(row_[2].c_str());
  known.registry_of_code = row_[3];
  std::string error;
  switch (judge_claim(claim_, known, &error)) {
    case ClaimVerdict::fits:
      begin(Step::prepare);
      return Outcome::running;
    case ClaimVerdict::absent:
    case ClaimVerdict::renamed:
      if (claimed_) return wrong("table postback_partner_codes does not keep what is written");
      begin(Step::claim);
      return Outcome::running;
    case ClaimVerdict::clash:
      return wrong(error);
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
  if (row_[0] != "t" && !may_create_) {
    error_ = "the database has no table postback_schema";
    return Outcome::gone;
  }
  begin(row_[0] == "t" ? Step::check : Step::lock);
  return Outcome::running;
}

PgSetup::Outcome PgSetup::check_done() {
  const int version = facts_.version;
  if (version > kSchemaVersion) return wrong(newer_version_error(version));
  const std::string index_error = pg_index_error(facts_);
  if (!may_create_ && (version == 0 || !index_error.empty())) {
    // A restore makes the tables first, fills them then, and makes the index last.
    error_ = version == 0 ? "the database has an empty table postback_schema" : index_error;
    return version == 0 ? Outcome::gone : Outcome::schema_wrong;
  }
  if (version < kSchemaVersion) {
    if (migrated_) return wrong("the schema version is not kept in table postback_schema");
    begin(Step::lock);
    return Outcome::running;
  }
  if (!index_error.empty()) return wrong(index_error);
  begin(Step::server);
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
