#include "store/pg_settings.h"

#include <utility>
#include <vector>

#include "base/pg_commit.h"

namespace postback::store {
namespace {

// Names, and values as SQL expressions. All may be set within a transaction, which excludes its
// isolation level; another one than READ COMMITTED costs retries and stores nothing wrong.
std::vector<std::pair<const char*, std::string>> settings_of(const PgServerLimits& limits) {
  const auto milliseconds = [](int value) { return "'" + std::to_string(value) + "'"; };
  std::vector<std::pair<const char*, std::string>> settings = {
      {"statement_timeout", milliseconds(limits.statement_ms)},
      {"lock_timeout", milliseconds(limits.lock_ms)},
      {"idle_in_transaction_session_timeout", milliseconds(limits.statement_ms)},
      {"synchronous_commit", base::kPgSynchronousCommit},
      {"TimeZone", "'UTC'"},
  };
  // Every read goes by an index. Plans are made once, when the tables may still be empty, and a
  // plan for an empty table would be kept while it grows by millions of rows.
  for (const char* name :
       {"enable_seqscan", "enable_hashjoin", "enable_mergejoin", "enable_sort", "jit"}) {
    settings.emplace_back(name, "'off'");
  }
  return settings;
}

std::string set_config(const std::string& name, const std::string& value, bool is_local) {
  return "set_config('" + name + "', " + value + (is_local ? ", true)" : ", false)");
}

}  // namespace

std::string pg_connection_settings(const PgServerLimits& limits, int backend_pid) {
  const std::string condition =
      "CASE WHEN pg_backend_pid() = " + std::to_string(backend_pid) + " THEN ";
  std::string sql;
  auto settings = settings_of(limits);
  settings.emplace_back("default_transaction_isolation", "'read committed'");
  for (const auto& [name, value] : settings) {
    if (!sql.empty()) sql += ", ";
    sql += condition + set_config(name, value, false) + " END";
  }
  return sql;
}

std::string pg_transaction_settings(const PgServerLimits& limits) {
  std::string sql;
  for (const auto& [name, value] : settings_of(limits)) {
    sql += (sql.empty() ? "SELECT " : ", ") + set_config(name, value, true);
  }
  return sql;
}

}  // namespace postback::store
