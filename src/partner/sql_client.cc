#include "partner/sql_client.h"

#include <unistd.h>

namespace postback::partner {

base::Result<std::unique_ptr<SqlClient>> SqlClient::open(const std::string& url, SqlMode mode,
                                                         const SqlLimits& limits) {
  const base::Status status = check_connectable_url(url);
  if (!status.ok()) return status;
  return base::database_kind(url) == base::DatabaseKind::sqlite
             ? open_sqlite_client(url, mode, limits)
             : open_postgres_client(url, mode, limits);
}

base::Result<bool> database_exists(const std::string& url, const SqlLimits& limits) {
  const base::Status status = check_connectable_url(url);
  if (!status.ok()) return status;
  if (base::database_kind(url) == base::DatabaseKind::postgresql) {
    return postgres_database_exists(url, limits);
  }
  return access(base::sqlite_path(url).c_str(), F_OK) == 0;
}

base::Status check_connectable_url(const std::string& url) {
  base::Status status = base::check_database_url(url);
  if (status.ok() && base::database_kind(url) == base::DatabaseKind::postgresql) {
    status = check_postgres_url(url);
  }
  return status;
}

}  // namespace postback::partner
