// Makes the store that a database URL asks for.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/status.h"
#include "base/time.h"
#include "io/mailbox.h"
#include "postback/loop.h"
#include "postback/store.h"

namespace postback::store {

// What stores share in one process: the thread that resolves host names, the threads of the SQLite
// databases (one per file, shared by the lanes that write to it). Made in main before the cores and
// destroyed after them; make_store() may be called from any core's thread.
class Services {
 public:
  Services();
  ~Services();  // All stores are closed and destroyed by then; joins the threads.
  // Keeps in `data_dir` what must outlive the process (known_databases.h). Before any store is
  // made; blocks. On an error what was kept there is not known, and the stores work all the same.
  base::Status keep_in(const std::string& data_dir);
  struct Impl;
  Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

struct StoreOptions {
  std::string url;  // "sqlite:PATH" or "postgresql://…" ("postgres://…" too).
  // Whose rows are stored, and by which control database: see partner_claim.h. Empty: not checked.
  int32_t partner_id = 0;
  std::string partner_code;
  std::string registry_id;
  int64_t memory_epoch = 0;  // Of the partner: see known_databases.h.
  int64_t writer_id = 0;     // Names this writer in postback_stats: unique per process and lane.
  Services* services = nullptr;
  Loop* loop = nullptr;            // The core's; outlives the store.
  io::Mailbox* mailbox = nullptr;  // The core's; how other threads answer.
  const base::Clock* clock = nullptr;
  // Time limits, milliseconds. After batch_ms without progress the connection is given up and its
  // batches come back `unavailable`.
  int connect_ms = 1500;
  int batch_ms = 1500;
  int read_ms = 5000;
  int idle_ms = 60000;  // A connection unused for this long is closed.
};

// Fails on a URL that is not understood. `client` outlives the store.
base::Result<std::unique_ptr<Store>> make_store(const StoreOptions& options, StoreClient* client);

// Whether the URL's scheme and form are understood; the error says what would be right.
base::Status check_database_url(const std::string& url);

}  // namespace postback::store
