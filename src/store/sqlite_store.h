// The store seam over a SQLite file: batches travel as messages to the thread of the database's
// writer, reads to that of its reader, and both return through the core's mailbox.
#pragma once

#include <memory>
#include <string>

#include "postback/store.h"
#include "store/store_factory.h"

namespace postback::store {

// `path`: the database file, as it stands behind "sqlite:" in the URL; the file and its folder are
// made when missing. options.services, options.mailbox and `client` outlive the store.
std::unique_ptr<Store> make_sqlite_store(const StoreOptions& options, const std::string& path,
                                         StoreClient* client);

}  // namespace postback::store
