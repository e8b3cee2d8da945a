// The servers that a postgresql:// URL names, one by one. libpq itself goes on to the next host
// only when one refuses: a silent one (a machine that is off) would cost the whole time limit, each
// time anew, although the next host works.
//
// Pure but for libpq's defaults (PGHOST and so on).
#pragma once

#include <string>
#include <vector>

namespace postback::partner {

struct PostgresHost {
  std::string host;
  std::string address;  // hostaddr; empty: that of `host`.
  std::string port;     // Empty: libpq's default.
};

struct PostgresHosts {
  // In the URL's order. Empty where libpq alone knows: the URL names a service or no host, or its
  // lists do not fit together.
  std::vector<PostgresHost> hosts;
  // The URL itself says which kind of server it wants (target_session_attrs).
  bool has_wish = false;
};

PostgresHosts postgres_hosts(const std::string& url);

}  // namespace postback::partner
