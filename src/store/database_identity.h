// What a database is, beyond its address: by this a store tells at each connection whether it meets
// the database that it had before, or another one that stands in its place (restored, made anew, a
// standby that was promoted).
#pragma once

#include <cstdint>
#include <string>

namespace postback::store {

// A part that is empty or 0 is not known, and then says nothing.
struct DatabaseIdentity {
  std::string incarnation;        // Of postback_schema; a dump that is restored keeps it.
  std::string system_identifier;  // PostgreSQL: of the cluster, the same on its standbys.
  uint32_t timeline = 0;          // PostgreSQL: grows with each promotion and recovery.
  std::string file;               // SQLite: device and inode.
};

// What differs, in words for the log ("timeline 1 before, 2 now"); empty when nothing does that
// both of them know.
std::string identity_difference(const DatabaseIdentity& before, const DatabaseIdentity& now);

}  // namespace postback::store
