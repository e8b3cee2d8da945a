// What the commands about the journal share. Owner and thread: the command.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "command.h"
#include "journal/reader.h"
#include "journal/recovery.h"
#include "partner/partner_table.h"

namespace postback::postbackctl {

std::string journal_folder(const Invocation& invocation);
// A server that never kept a journal has no folder for it in its DATA_DIR; that is no error.
base::Result<journal::Recovered> look_at_journal(const Invocation& invocation);
// The record at which the reader stands, as a line of JSON.
std::string record_json(const journal::Reader& reader);

// The partners of the control database, by which it is judged whose records are held.
base::Result<std::shared_ptr<const partner::PartnerTable>> read_table(
    const base::Settings& settings);

// Where an owner's records go, as far as a look tells: "drains", "drained", "held", "assigned", or
// "unknown" while the control database (`table` nullptr) cannot be read.
struct OwnerState {
  std::string word;
  std::string detail;       // Of "held" the reason and what to do, of "assigned" to whom; or empty.
  const char* reason = "";  // Of "held": see ingest::hold_reason_name().
};
OwnerState state_of(const journal::Recovered& found, const journal::Owner& owner,
                    const partner::PartnerTable* table);

}  // namespace postback::postbackctl
