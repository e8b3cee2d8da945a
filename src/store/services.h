// The inside of Services (store_factory.h), for the stores only.
#pragma once

#include "store/resolver.h"
#include "store/sqlite_databases.h"
#include "store/store_factory.h"

namespace postback::store {

struct Services::Impl {
  Resolver resolver;
  SqliteDatabases sqlite;
};

}  // namespace postback::store
