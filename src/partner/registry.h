// Keeps the partner table true to the control database, on a thread of its own: asks twice a
// second whether `partners` changed (by whoever: another server, postbackctl, SQL by hand) and
// hands out a new table. While the control database is away the last table stays in use; when it
// is away at the start, that is the one of the partner cache (partner_cache.h), until it is back.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/settings.h"
#include "partner/partner_table.h"

namespace postback::partner {

struct RegistryStatus {
  bool loaded = false;  // A table was handed out at least once, be it the cache's.
  bool up = false;      // The last look at the control database succeeded.
  std::string kind;     // "sqlite" or "postgresql".
  std::string error;    // Of the last failure, without secrets.
  // When the partners in use, which are the cache's, were last seen to be those of the control
  // database; microseconds since the epoch. 0: they are the control database's own.
  int64_t cached_as_of_us = 0;
};

class Registry {
 public:
  using OnTable = std::function<void(std::shared_ptr<const PartnerTable>)>;
  using OnTime = std::function<void(int64_t database_us)>;

  // `on_table` is called on the registry's thread, or in start(); never by two threads at once.
  // `on_time` is called on the registry's thread: the clock of the control database's
  // server, at each look and before a table that was found by it; not with SQLite.
  Registry(const base::Settings& settings, OnTable on_table, OnTime on_time = {});
  ~Registry();  // Stops and joins the thread; waits at most for one statement's time limit.
  // Starts the thread, which looks at once (creating the control database and its table if
  // missing). Returns when that look is done, and has handed out the cache's table then if it
  // failed; a look that takes longer than a second counts as failed, and goes on. A control
  // database that is away is not an error here (see status()), with a cache or without; a
  // DATABASE_URL that cannot be understood is.
  base::Status start();
  void reload();                  // Any thread: looks now (SIGHUP).
  RegistryStatus status() const;  // Any thread.

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;  // Shared with the thread, which may be left behind.
};

}  // namespace postback::partner
