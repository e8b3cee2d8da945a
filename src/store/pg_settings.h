// The server's settings that our statements rely on: time limits, how durable a commit is, how
// plans are made. A connection of our own gets them once, for its life.
//
// A pooler in transaction mode (PgBouncer) gives each transaction whichever of its connections to
// the server is free. A setting for the life of a connection would then be missing in our next
// transaction, and apply to somebody else's. So behind a pooler each transaction begins with the
// settings, for itself alone. A pooler is told by the number of the server's process: the one that
// the client was given when it connected is then not that of the process that runs the statement.
//
// Pure functions.
#pragma once

#include <string>

namespace postback::store {

// Limits that the server keeps for us, milliseconds. A statement that we gave up must not go on
// for long, and a lock is given up before we give up the connection.
struct PgServerLimits {
  int statement_ms = 1500;
  int lock_ms = 1000;
};

// A list of expressions for a SELECT: sets everything for the life of the connection, but nothing
// unless the statement is run by the server's process number `backend_pid`.
std::string pg_connection_settings(const PgServerLimits& limits, int backend_pid);

// A SELECT of one row: sets everything for the transaction that it is in.
std::string pg_transaction_settings(const PgServerLimits& limits);

}  // namespace postback::store
