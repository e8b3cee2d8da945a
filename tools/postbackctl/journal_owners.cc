// Whose records the journal holds, and where they go.
#include "control.h"
#include "ingest/owner_routes.h"
#include "journal_parts.h"
#include "partner/table_builder.h"

namespace postback::postbackctl {

using base::Result;
using journal::Owner;
using partner::PartnerTable;

Result<std::shared_ptr<const PartnerTable>> read_table(const base::Settings& settings) {
  auto client = open_control(settings, partner::SqlMode::read);
  if (!client.ok()) return client.status();
  Result<partner::Partners> rows =
      partner::load_partners(client.value().get(), partner::database_home(settings));
  if (!rows.ok()) return rows.status();
  return std::shared_ptr<const PartnerTable>(partner::next_table(nullptr, rows.take()).table);
}

OwnerState state_of(const journal::Recovered& found, const Owner& owner,
                    const PartnerTable* table) {
  if (!found.undrained_by_owner.contains(owner)) return {"drained", "", ""};
  const journal::Order* order =
      journal::assignment_of(found.orders, owner, found.checkpoint.checkpoint);
  if (table == nullptr) return {"unknown", "the control database cannot be read", ""};
  ingest::HoldReason reason{};
  const bool is_held = ingest::is_held(order == nullptr ? owner : order->to, *table, &reason);
  if (is_held) {
    return {"held", ingest::hold_remedy(owner, reason), ingest::hold_reason_name(reason)};
  }
  if (order != nullptr) return {"assigned", "to " + journal::owner_name(order->to), ""};
  return {"drains", "", ""};
}

}  // namespace postback::postbackctl
