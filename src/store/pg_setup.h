// What a fresh connection goes through before it is used:
//
//   settings → is there a schema? → version and unique index as they should be? → which server?
//                     ↘ no, or an older version: migrate, and look again ↗             ↓
//                                      ready ← prepare ← is our partner id ours in this database?
//
// Looking costs three SELECTs, so a restart is cheap and needs no right to change tables. Migrating
// is one transaction under an advisory lock, so any number of processes may start at once.
//
// Owner: PgSession. Thread: the core's; nothing blocks.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "store/partner_claim.h"
#include "store/pg_connection.h"
#include "store/pg_facts.h"
#include "store/pg_settings.h"
#include "store/pg_statements.h"

namespace postback::store {

class PgSetup {
 public:
  enum class Outcome : uint8_t {
    running,
    ready,         // In pipeline mode, statements prepared.
    failed,        // error(); another attempt may help.
    schema_wrong,  // error(); a person is needed.
    gone,          // error(); the tables are missing, and may not be made.
  };

  PgSetup(PgConnection* connection, PgServerLimits limits, std::span<const PgStatement> statements,
          PartnerClaim claim)
      : connection_(connection),
        limits_(limits),
        statements_(statements),
        claim_(std::move(claim)) {}

  // `may_create`: tables that are missing are made.
  void start(bool may_create);
  // Takes what connection_result() brings, until the outcome is not `running`.
  Outcome result(const PGresult* result);
  const std::string& error() const { return error_; }
  // Once ready: whether a pooler is between us and the server, which changes what a session may
  // rely on (pg_settings.h).
  bool is_pooled() const { return is_pooled_; }
  // From now on a pooler is taken to be there: its connections were seen to change under us.
  void expect_pooler() { pooler_expected_ = true; }
  // Once ready.
  const PgFacts& facts() const { return facts_; }
  // Whether the server has answered PG_SERVER_FACTS.
  bool is_server_told() const { return server_told_; }
  // Tables are being made: this may take longer than any other step.
  bool is_migrating() const { return step_ == Step::lock || step_ == Step::migrate; }

 private:
  enum class Step : uint8_t { settings, check, lock, migrate, server, codes, claim, prepare };

  void begin(Step step);
  void take_row(const PGresult* result);
  Outcome step_done();
  Outcome settings_done();
  Outcome check_done();
  Outcome lock_done();
  Outcome codes_done();
  std::string codes_sql() const;
  std::string claim_sql() const;
  Outcome wrong(const std::string& why);
  std::string settings_sql();

  PgConnection* connection_;
  PgServerLimits limits_;
  std::span<const PgStatement> statements_;
  const PartnerClaim claim_;
  bool may_create_ = true;
  bool claimed_ = false;
  PgFacts facts_;
  bool server_told_ = false;  // It has answered PG_SERVER_FACTS.
  Step step_ = Step::settings;
  bool migrated_ = false;
  bool is_pooled_ = false;
  bool pooler_expected_ = false;
  std::string row_[4];  // The columns of the last row of the step; "" for NULL.
  bool has_row_ = false;
  bool step_failed_ = false;
  std::string sqlstate_;
  std::string error_;
};

}  // namespace postback::store
