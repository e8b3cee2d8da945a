// The transactions of a session in pipeline mode: each is the statements up to a sync.
//
// On a connection of our own, statements are executed by the names under which they were prepared.
// Behind a pooler (pg_settings.h) each transaction first makes its settings, and statements go as
// text: what was prepared for one transaction is not there, or is somebody else's, in the next one.
//
// Owner: PgSession. Thread: the core's; nothing blocks.
#pragma once

#include <libpq-fe.h>

#include <span>
#include <string>

#include "store/pg_batch.h"
#include "store/pg_connection.h"
#include "store/pg_settings.h"
#include "store/pg_statements.h"

namespace postback::store {

class PgPipeline {
 public:
  PgPipeline(PgConnection* connection, std::span<const PgStatement> statements,
             const PgServerLimits& limits)
      : connection_(connection),
        statements_(statements),
        settings_(pg_transaction_settings(limits)) {}

  // The connection is new, and in pipeline mode.
  void begin(bool is_pooled);
  // Executes one of the statements, by its name in pg_statements.h; libpq copies the values.
  void execute(const char* name, const PgParameterList& parameters);
  // Ends the transaction. Also sends what was buffered.
  void sync();
  // Whether a result is that of the settings, and fine: nobody else's business then.
  bool takes(const PGresult* result);

 private:
  PgConnection* connection_;
  const std::span<const PgStatement> statements_;
  const std::string settings_;
  bool is_pooled_ = false;
  bool is_sending_ = false;    // A transaction was begun and not yet ended, by what we sent.
  bool is_answering_ = false;  // The same by the answers.
};

}  // namespace postback::store
