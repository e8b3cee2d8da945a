// What an operator can do about errors of PostgreSQL, for the store and the control database alike.
#pragma once

#include <string_view>

namespace postback::base {

// About a statement that failed with `sqlstate` (PostgreSQL manual, appendix A); empty when the
// message has to speak for itself.
constexpr std::string_view pg_statement_remedy(std::string_view sqlstate) {
  if (sqlstate != "42501") return {};  // insufficient_privilege
  return "let the role own the database (ALTER DATABASE ... OWNER TO ...) and the tables in it, or "
         "grant it CREATE on schema public and all rights on the tables";
}

// libpq's words when no host of a URL accepts writes and target_session_attrs asks for one.
constexpr bool is_only_standby(std::string_view message) {
  return message.find("session is read-only") != std::string_view::npos;
}

// About a connection that was refused; libpq gives no SQLSTATE then, only the server's message,
// which is English unless lc_messages says otherwise.
constexpr std::string_view pg_connect_remedy(std::string_view message) {
  const bool is_full = message.find("too many") != std::string_view::npos ||
                       message.find("connection slots are reserved") != std::string_view::npos;
  if (is_full) {
    return "raise max_connections (or the limit of the role or database), close sessions, or put a "
           "pooler in front";
  }
  if (is_only_standby(message)) {
    return "the server is a standby or read-only: name the primary in the URL as well, or promote "
           "the standby";
  }
  return "check that the server runs and that host, port, user, password and database of the URL "
         "are right";
}

}  // namespace postback::base
