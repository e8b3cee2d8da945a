// The questions of StoreRead, asked of a SQLite connection.
#pragma once

#include "postback/store.h"
#include "store/sqlite_connection.h"

namespace postback::store {

// Fill read->stats or read->conversions.
SqliteResult query_stats(SqliteConnection* connection, StoreRead* read);
SqliteResult query_conversions(SqliteConnection* connection, StoreRead* read);

}  // namespace postback::store
