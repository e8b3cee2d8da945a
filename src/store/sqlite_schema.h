// Brings a SQLite partner database to this program's schema, and refuses one that does not fit.
#pragma once

#include "store/sqlite_connection.h"

namespace postback::store {

// Runs the migrations that are missing (see schema.h) in one transaction and verifies the unique
// index partner_conversions_once, without which repeats would be stored twice. `connection` is the
// writer's; it takes the write lock even when nothing is to do, so ok also means: can write.
SqliteResult open_sqlite_schema(SqliteConnection* connection);

}  // namespace postback::store
