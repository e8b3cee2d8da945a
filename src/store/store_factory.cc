#include "store/store_factory.h"

#include "base/check.h"
#include "base/database_url.h"
#include "store/pg_store.h"
#include "store/pg_url.h"
#include "store/services.h"
#include "store/sqlite_store.h"

namespace postback::store {

base::Status check_database_url(const std::string& url) {
  base::Status status = base::check_database_url(url);
  if (!status.ok() || base::database_kind(url) == base::DatabaseKind::sqlite) return status;
  return parse_pg_url(url).status();
}

base::Result<std::unique_ptr<Store>> make_store(const StoreOptions& options, StoreClient* client) {
  CHECK(options.services != nullptr && options.loop != nullptr && options.mailbox != nullptr);
  const base::Status status = base::check_database_url(options.url);
  if (!status.ok()) return status;
  switch (base::database_kind(options.url)) {
    case base::DatabaseKind::sqlite:
      return make_sqlite_store(options, base::sqlite_path(options.url), client);
    case base::DatabaseKind::postgresql:
      return make_pg_store(options, &options.services->impl().resolver,
                           &options.services->impl().known, client);
  }
  return base::Status::error("the kind of database is not known");
}

}  // namespace postback::store
