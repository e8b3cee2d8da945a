// The form of a database URL: "sqlite:PATH" or "postgresql://…" ("postgres://…" too). Pure
// functions; whether the database answers is not looked at.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace postback::base {

enum class DatabaseKind : uint8_t { sqlite, postgresql };

constexpr const char* database_kind_name(DatabaseKind kind) {
  return kind == DatabaseKind::sqlite ? "sqlite" : "postgresql";
}

// Whether scheme and form are understood. The message says what is wrong and what would be right;
// it contains nothing of the URL but its scheme, for the rest may be a secret.
Status check_database_url(std::string_view url);

// All require check_database_url(url).ok().
DatabaseKind database_kind(std::string_view url);
std::string sqlite_path(std::string_view url);  // What stands behind "sqlite:".

}  // namespace postback::base
