// The next partner table from the rows just read and the table before. Reads the
// files of their time zones; otherwise pure.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "partner/partner_rows.h"
#include "partner/partner_table.h"

namespace postback::partner {

struct TableChange {
  // The next table; nullptr when nothing changed.
  std::shared_ptr<const PartnerTable> table;
  // For the log: "partner rector added, /rector/event".
  std::vector<std::string> notes;
  // The bad rows among those read, and those whose zone file could not be read.
  std::vector<BadPartner> bad;
};

// Entries whose partner did not change are the same shared objects as in `before` (may be nullptr:
// there is no table yet, and then there is always a next one). A bad row keeps its entry from
// before, if there is one and its code and path are still free. A table of another source is
// another table, though its entries be the same.
TableChange next_table(const PartnerTable* before, Partners rows,
                       TableSource source = TableSource::control_database);

}  // namespace postback::partner
