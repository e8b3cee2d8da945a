// The store seam over PostgreSQL: a writer with its connection, a reader with another one.
#pragma once

#include <memory>

#include "base/status.h"
#include "postback/store.h"
#include "store/store_factory.h"

namespace postback::store {

class KnownDatabases;
class Resolver;

// Fails on a URL that is not understood. `resolver`, `known`, options.loop, options.mailbox and
// `client` outlive the store. Nothing is connected before the first submit(), read() or open().
base::Result<std::unique_ptr<Store>> make_pg_store(const StoreOptions& options, Resolver* resolver,
                                                   KnownDatabases* known, StoreClient* client);

}  // namespace postback::store
