#include "partner/partner_table.h"

#include <absl/container/flat_hash_map.h>

#include <utility>

#include "base/check.h"
#include "base/json_writer.h"

namespace postback::partner {

std::string answered_json(const Partner& partner) {
  std::string json = "{\"code\":";
  base::append_json_string(&json, partner.partner_code);
  json += ",\"name\":";
  base::append_json_string(&json, partner.partner_name);
  json += ",\"endpoint\":";
  base::append_json_string(&json, partner.endpoint_path);
  json += '}';
  return json;
}

struct PartnerTable::Index {
  // Keys are views into the entries, which the table keeps. Debian's abseil is built with a
  // string_view of its own, so the hash is the standard library's.
  absl::flat_hash_map<std::string_view, const PartnerEntry*, std::hash<std::string_view>> by_path;
};

PartnerTable::PartnerTable(std::vector<std::shared_ptr<const PartnerEntry>> entries,
                           uint64_t version, TableSource source)
    : entries_(std::move(entries)),
      index_(std::make_unique<Index>()),
      version_(version),
      source_(source) {
  index_->by_path.reserve(entries_.size());
  for (const auto& entry : entries_) {
    // The registry sees to it that paths are unique.
    CHECK(index_->by_path.emplace(entry->partner.endpoint_path, entry.get()).second);
  }
}

PartnerTable::~PartnerTable() = default;

const PartnerEntry* PartnerTable::find(std::string_view endpoint_path) const {
  const auto found = index_->by_path.find(endpoint_path);
  return found == index_->by_path.end() ? nullptr : found->second;
}

}  // namespace postback::partner
