// The partners as last read from a control database on another machine, in a file beside the
// partners' data: a server that starts while that database is away serves the partners it knew,
// and their postbacks wait in the journal. Blocking; one thread.
//
// The file holds what table `partners` holds, passwords in database_url included; it is readable by
// the server's user and group only.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "partner/effective_url.h"
#include "postback/partner.h"

namespace postback::partner {

// DATA_DIR/partners.cache
std::string partner_cache_path(const DatabaseHome& home);

// Replaces the file as a whole, synced: after a power cut it is the old or the new one.
base::Status write_partner_cache(const DatabaseHome& home, const std::vector<Partner>& partners);

// nullopt when there is no file, or it is of another control database (passwords and other options
// of the URL aside). An error when it is damaged or cannot be read: nothing of it is used then.
base::Result<std::optional<std::vector<Partner>>> read_partner_cache(const DatabaseHome& home);

}  // namespace postback::partner
