// Where a partner's rows really go. Pure functions.
#pragma once

#include <string>

#include "base/settings.h"
#include "base/status.h"
#include "postback/partner.h"

namespace postback::partner {

// The control database and the folder of SQLite databases, as in the settings.
struct DatabaseHome {
  std::string control_url;  // Passes base::check_database_url.
  std::string data_dir;
};

inline DatabaseHome database_home(const base::Settings& settings) {
  return {settings.database_url, settings.data_dir};
}

// The partner's database_url; or, when that is empty, derived from database_name: with a SQLite
// control database `sqlite:DATA_DIR/<database_name>.db`; with PostgreSQL the control database's URL
// with the database replaced. Fails when it would be the control database's own SQLite file: two
// parts of the server would write to one file.
base::Result<std::string> effective_database_url(const DatabaseHome& home, const Partner& partner);

// `url` (postgresql:// or postgres://) with its database replaced by `database`, percent-encoded;
// a `dbname` among its options is dropped, for libpq would prefer it.
std::string with_database(const std::string& url, const std::string& database);

}  // namespace postback::partner
