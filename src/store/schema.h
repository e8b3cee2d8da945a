// The schema of a partner's database: tables partner_conversions, postback_quarantine,
// postback_stats, postback_purge and postback_schema (the version). Written out here once; each
// backend runs its own text of it, step by step from the version it finds.
#pragma once

#include <span>

namespace postback::store {

constexpr int kSchemaVersion = 2;

// migrations()[v] brings a database from version v to v + 1; several statements separated by
// semicolons, run in one transaction that ends by writing the new version.
std::span<const char* const> postgres_migrations();
std::span<const char* const> sqlite_migrations();

}  // namespace postback::store
