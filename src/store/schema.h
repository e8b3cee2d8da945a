// The schema of a partner's database: tables partner_conversions, postback_quarantine,
// postback_stats, postback_purge, postback_partner_codes and postback_schema (the version, and the
// incarnation: a random text that is given once, by which a database that was made anew is told
// from the one before it). Written out here once; each backend runs its own text of it, step by
// step from the version it finds.
#pragma once

#include <span>

namespace postback::store {

constexpr int kSchemaVersion = 3;

// migrations()[v] brings a database from version v to v + 1; several statements separated by
// semicolons, run in one transaction in which table postback_schema exists and which ends by
// writing the new version, and the incarnation where there is none.
std::span<const char* const> postgres_migrations();
std::span<const char* const> sqlite_migrations();

}  // namespace postback::store
