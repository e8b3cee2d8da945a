// A postgresql:// URL taken apart: which servers, which database, with which parameters. libpq's
// own rules (its manual, 34.1.1.2), except that we resolve host names ourselves: libpq would block
// on them. What the URL leaves open comes from libpq's defaults (PGHOST, PGPASSWORD and so on).
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"

namespace postback::store {

struct PgHost {
  std::string host;      // A name, an address, a socket folder, or empty (libpq's default socket).
  std::string hostaddr;  // Its address, when known.
  std::string port;      // Empty: 5432.
  bool needs_resolving() const;
};

using PgParameters = std::vector<std::pair<std::string, std::string>>;

struct PgTarget {
  std::vector<PgHost> hosts;  // Tried in this order; at least one.
  std::string database;
  PgParameters parameters;  // All others, with ours where the URL has none. Contain secrets.
  std::string password;

  // Everything for PQconnectStartParams. No host of `hosts` may still need resolving.
  PgParameters connect_parameters(const std::vector<PgHost>& resolved_hosts,
                                  const std::string& database_name) const;
  // Servers and database, without secrets: the same for two URLs of one database, unless their
  // hosts are spelled in two ways.
  std::string place() const;
  // libpq's text as one line and without the password, whoever put it there.
  std::string clean_error(std::string_view text) const;
};

// The message never quotes the URL: it holds a password. Reads libpq's defaults: environment and
// service file, so it is for the cold path.
base::Result<PgTarget> parse_pg_url(const std::string& url);

bool is_pg_url(std::string_view url);  // By its scheme.

}  // namespace postback::store
