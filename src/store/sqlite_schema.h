// Brings a SQLite partner database to this program's schema, and refuses one that does not fit.
#pragma once

#include <string>

#include "store/partner_claim.h"
#include "store/sqlite_connection.h"

namespace postback::store {

// Runs the migrations that are missing (see schema.h) in one transaction and verifies the unique
// index partner_conversions_once, without which repeats would be stored twice. `connection` is the
// writer's; it takes the write lock even when nothing is to do, so ok also means: can write.
// `may_create`: tables that are missing are made; otherwise their absence is `schema`, and *gone is
// set. *incarnation: of the database.
SqliteResult open_sqlite_schema(SqliteConnection* connection, bool may_create,
                                std::string* incarnation, bool* gone);

// Sees to it that the rows of claim.partner_id are that partner's (partner_claim.h): `schema` when
// the database knows them as another's. In a transaction of its own when one is needed.
SqliteResult check_sqlite_claim(SqliteConnection* connection, const PartnerClaim& claim);

}  // namespace postback::store
