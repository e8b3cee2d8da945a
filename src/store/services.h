// The inside of Services (store_factory.h), for the stores only.
#pragma once

#include "store/known_databases.h"
#include "store/resolver.h"
#include "store/sqlite_databases.h"
#include "store/store_factory.h"

namespace postback::store {

struct Services::Impl {
  KnownDatabases known;
  Resolver resolver;
  SqliteDatabases sqlite{&known};
};

}  // namespace postback::store
