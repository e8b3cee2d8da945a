#include "partner/table_builder.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

namespace postback::partner {
namespace {

using Entry = std::shared_ptr<const PartnerEntry>;

std::map<int64_t, Entry> entries_by_id(const PartnerTable* table) {
  std::map<int64_t, Entry> entries;
  if (table == nullptr) return entries;
  for (const Entry& entry : table->entries()) entries[entry->partner.id] = entry;
  return entries;
}

// An error although the row was checked: the file of the zone may have become unreadable since.
base::Result<Entry> make_entry(Partner partner) {
  base::Result<std::shared_ptr<const conversion::Mapping>> mapping =
      conversion::Mapping::compile(partner);
  if (!mapping.ok()) return mapping.status();
  auto entry = std::make_shared<PartnerEntry>();
  entry->partner = std::move(partner);
  entry->mapping = mapping.take();
  entry->answered_json = answered_json(entry->partner);
  return Entry(std::move(entry));
}

std::string note(const Partner& partner, const char* what) {
  return "partner " + partner.partner_code + " " + what + ", " + partner.endpoint_path +
         (partner.is_active ? "" : ", inactive");
}

// The entries that bad rows keep: only where no good row has taken their code or path meanwhile.
void keep_before(const std::vector<BadPartner>& bad, const std::map<int64_t, Entry>& before,
                 std::vector<Entry>* entries) {
  std::set<std::string> taken;
  for (const Entry& entry : *entries) {
    taken.insert(entry->partner.partner_code);
    taken.insert(entry->partner.endpoint_path);  // Starts with a slash: never equal to a code.
  }
  for (const BadPartner& row : bad) {
    const auto found = before.find(row.id);
    if (found == before.end()) continue;
    const Partner& partner = found->second->partner;
    if (taken.contains(partner.partner_code) || taken.contains(partner.endpoint_path)) continue;
    taken.insert(partner.partner_code);
    taken.insert(partner.endpoint_path);
    entries->push_back(found->second);
  }
}

}  // namespace

TableChange next_table(const PartnerTable* before, Partners rows, TableSource source) {
  TableChange change;
  const std::map<int64_t, Entry> old = entries_by_id(before);
  std::vector<Entry> entries;
  for (Partner& partner : rows.partners) {
    const auto found = old.find(partner.id);
    if (found != old.end() && found->second->partner == partner) {
      entries.push_back(found->second);
      continue;
    }
    base::Result<Entry> entry = make_entry(partner);
    if (!entry.ok()) {
      rows.bad.push_back({partner.id, partner.partner_code, entry.status().message()});
      continue;
    }
    change.notes.push_back(note(partner, found == old.end() ? "added" : "changed"));
    entries.push_back(entry.take());
  }
  keep_before(rows.bad, old, &entries);
  change.bad = std::move(rows.bad);
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a->partner.id < b->partner.id; });
  std::set<int64_t> present;
  for (const Entry& entry : entries) present.insert(entry->partner.id);
  for (const auto& [id, entry] : old) {
    if (!present.contains(id)) change.notes.push_back(note(entry->partner, "removed"));
  }
  if (before != nullptr && entries == before->entries() && source == before->source()) {
    return change;
  }
  const uint64_t version = before == nullptr ? 1 : before->version() + 1;
  change.table = std::make_shared<PartnerTable>(std::move(entries), version, source);
  return change;
}

}  // namespace postback::partner
