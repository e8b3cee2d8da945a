#include "ingest/owner_routes.h"

#include <algorithm>

namespace postback::ingest {
namespace {

using journal::Owner;
using partner::PartnerTable;

const Partner* find_owner(const Owner& owner, const PartnerTable& table) {
  for (const auto& entry : table.entries()) {
    if (belongs_to(owner, entry->partner)) return &entry->partner;
  }
  return nullptr;
}

}  // namespace

Owner owner_of(const Partner& partner) {
  return Owner(partner.registry_id, partner.id, partner.partner_code);
}

bool belongs_to(const Owner& owner, const Partner& partner) {
  if (owner.partner_id != partner.id) return false;
  const Owner own = owner_of(partner);
  // Records without a control database were made before it had an id, or while its id was not
  // known: the partners were a cache's, of an older program.
  if (owner.has_registry() ? owner.registry != own.registry : !partner.owns_unmarked) return false;
  return owner.code.empty() || owner.code == own.code ||
         std::find(partner.former_codes.begin(), partner.former_codes.end(), owner.code) !=
             partner.former_codes.end();
}

const char* hold_reason_name(HoldReason reason) {
  switch (reason) {
    case HoldReason::inactive:
      return "inactive";
    case HoldReason::no_partner:
      return "no_partner";
    case HoldReason::other_registry:
      return "other_control_database";
  }
  return "no_partner";
}

std::string hold_remedy(const Owner& owner, HoldReason reason) {
  const std::string name = journal::owner_name(owner);
  const std::string by_hand = "assign them with: postbackctl journal assign --from " + name +
                              " --to CODE, or give them up with: postbackctl journal discard "
                              "--partner " +
                              name;
  switch (reason) {
    case HoldReason::inactive:
      return "the partner is switched off; switch it on with: postbackctl partner enable " + name +
             ", or " + by_hand;
    case HoldReason::no_partner:
      return "the control database has no such partner; add it again under its code, or " + by_hand;
    case HoldReason::other_registry:
      return "another control database made them; set DATABASE_URL to that one, or " + by_hand;
  }
  return by_hand;
}

bool is_held(const Owner& owner, const PartnerTable& table, HoldReason* reason) {
  const Partner* partner = find_owner(owner, table);
  if (partner != nullptr && partner->is_active) return false;
  const auto& entries = table.entries();
  const bool is_ours = !entries.empty() && owner.has_registry() &&
                       owner_of(entries.front()->partner).registry == owner.registry;
  *reason = partner != nullptr ? HoldReason::inactive
            : is_ours          ? HoldReason::no_partner
                               : HoldReason::other_registry;
  return true;
}

void OwnerRoutes::build(const std::shared_ptr<const PartnerTable>& table,
                        const std::vector<journal::Order>& orders,
                        const journal::Checkpoint& checkpoint, Backlog* backlog) {
  table_ = table;
  sources_.clear();
  own_.clear();
  holds_.clear();
  for (const auto& entry : table->entries()) {
    own_[entry->partner.id] = owner_of(entry->partner);
    backlog->of(owner_of(entry->partner));
  }
  owner_count_ = backlog->owner_count();
  backlog->for_each_owner([&](const Owner& owner, PartnerBacklog& counts) {
    const journal::Order* order = journal::assignment_of(orders, owner, checkpoint);
    const Owner& target = order == nullptr ? owner : order->to;
    HoldReason reason{};
    if (is_held(target, *table, &reason)) {
      holds_.push_back({owner, reason, &counts});
      return;
    }
    Source source;
    source.owner = owner;
    source.backlog = &counts;
    if (order != nullptr) source.limit = order->end();
    sources_[find_owner(target, *table)->id].push_back(std::move(source));
  });
}

bool OwnerRoutes::is_old(const std::shared_ptr<const PartnerTable>& table,
                         const Backlog& backlog) const {
  return table_ != table || owner_count_ != backlog.owner_count();
}

void OwnerRoutes::claim(Backlog* backlog) const {
  for (const auto& [partner_id, sources] : sources_) {
    for (const Source& source : sources) {
      const Owner& own = own_.at(partner_id);
      if (source.owner == own || source.backlog->waiting() == 0) continue;
      backlog->of(own).claim(source.backlog, source.owner.partner_id == partner_id);
    }
  }
}

const std::vector<Source>& OwnerRoutes::sources(int32_t partner_id) const {
  static const std::vector<Source> kNone;
  const auto found = sources_.find(partner_id);
  return found == sources_.end() ? kNone : found->second;
}

}  // namespace postback::ingest
