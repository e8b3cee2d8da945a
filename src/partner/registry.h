// Keeps the partner table true to the control database, on a thread of its own: asks twice a
// second whether `partners` changed (by whoever: another server, postbackctl, SQL by hand) and
// hands out a new table. While the control database is away the last table stays in use, also over
// a start where it is a PostgreSQL (partner_cache.h).
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/settings.h"
#include "partner/partner_table.h"

namespace postback::partner {

struct RegistryStatus {
  bool loaded = false;  // A table was handed out at least once.
  bool up = false;      // The last look at the control database succeeded.
  std::string kind;     // "sqlite" or "postgresql".
  std::string error;    // Of the last failure, without secrets.
};

class Registry {
 public:
  using OnTable = std::function<void(std::shared_ptr<const PartnerTable>)>;

  // `on_table` is called on the registry's thread.
  Registry(const base::Settings& settings, OnTable on_table);
  ~Registry();  // Stops and joins the thread; waits at most for one statement's time limit.
  // Looks once on the calling thread (creating the control database and its table if missing) and
  // then starts the thread. A control database that is away is not an error here (see status());
  // a DATABASE_URL that cannot be understood is.
  base::Status start();
  void reload();                  // Any thread: looks now (SIGHUP).
  RegistryStatus status() const;  // Any thread.

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace postback::partner
