// What the reads answer, from libpq's text results (pg_statements.cc names the columns). False
// when a value is not what the column promises. Pure functions.
#pragma once

#include <libpq-fe.h>

#include "postback/store.h"

namespace postback::store {

[[nodiscard]] bool take_stats(const PGresult* result, StoreStats* stats);
// Fills read->conversions and read->more.
[[nodiscard]] bool take_conversions(const PGresult* result, StoreRead* read);

}  // namespace postback::store
