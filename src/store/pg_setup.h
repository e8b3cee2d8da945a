// What a fresh connection goes through before it is used:
//
//   settings → is there a schema? → version and unique index as they should be? → prepare → ready
//                     ↘ no, or an older version: migrate, and look again ↗
//
// Looking costs one SELECT, so a restart is cheap and needs no right to change tables. Migrating is
// one transaction under an advisory lock, so any number of processes may start at once.
//
// Owner: PgSession. Thread: the core's; nothing blocks.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "store/pg_connection.h"
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
  };

  PgSetup(PgConnection* connection, PgServerLimits limits, std::span<const PgStatement> statements)
      : connection_(connection), limits_(limits), statements_(statements) {}

  void start();
  // Takes what connection_result() brings, until the outcome is not `running`.
  Outcome result(const PGresult* result);
  const std::string& error() const { return error_; }
  // Once ready: whether a pooler is between us and the server, which changes what a session may
  // rely on (pg_settings.h).
  bool is_pooled() const { return is_pooled_; }
  // From now on a pooler is taken to be there: its connections were seen to change under us.
  void expect_pooler() { pooler_expected_ = true; }
  // Tables are being made: this may take longer than any other step.
  bool is_migrating() const { return step_ == Step::lock || step_ == Step::migrate; }

 private:
  enum class Step : uint8_t { settings, check, lock, migrate, prepare };

  void begin(Step step);
  void take_row(const PGresult* result);
  Outcome step_done();
  Outcome settings_done();
  Outcome check_done();
  Outcome lock_done();
  Outcome wrong(const std::string& why);
  std::string settings_sql();

  PgConnection* connection_;
  PgServerLimits limits_;
  std::span<const PgStatement> statements_;
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
