#include "conversion/mapping.h"

#include "base/json_writer.h"
#include "conversion/mapping_impl.h"

namespace postback::conversion {
namespace {

// Far above any partner's parameters, of which a postback has at most 64.
constexpr size_t kEntriesMax = 1000;

constexpr std::string_view kColumnNames[kColumnCount] = {
    "conversion_id",   "offer_id",    "offer_name", "conversion_datetime",
    "usd_sale_amount", "usd_earning", "usd_payout", "media_id",
    "sub_id",          "click_id",
};

// The index of `name`, added when it is new. Linear: runs once per partner and name.
uint16_t intern(std::string_view name, std::vector<std::string>* names) {
  size_t index = 0;
  while (index < names->size() && (*names)[index] != name) ++index;
  if (index == names->size()) names->emplace_back(name);
  return static_cast<uint16_t>(index);
}

void build_slots(Mapping::Impl* impl) {
  size_t size = 64;
  while (size < impl->names.size() * 4) size *= 2;
  impl->slots.assign(size, -1);
  impl->slot_mask = size - 1;
  for (size_t index = 0; index < impl->names.size(); ++index) {
    size_t slot = Mapping::Impl::hash(impl->names[index]) & impl->slot_mask;
    while (impl->slots[slot] >= 0) slot = (slot + 1) & impl->slot_mask;
    impl->slots[slot] = static_cast<int16_t>(index);
  }
}

}  // namespace

Mapping::~Mapping() = default;

base::Result<std::shared_ptr<const Mapping>> Mapping::compile(const Partner& partner) {
  if (partner.parameter_mapping.size() > kEntriesMax) {
    return base::Status::error("The parameter_mapping of partner " + partner.partner_code +
                               " has more than " + std::to_string(kEntriesMax) +
                               " entries; remove those that no postback carries.");
  }
  base::Result<TimeZone> zone = TimeZone::find(partner.timezone);
  if (!zone.ok()) {
    return base::Status::error("Partner " + partner.partner_code + ": " + zone.status().message());
  }
  auto impl = std::make_unique<Impl>();
  impl->partner_id = partner.id;
  impl->zone = zone.take();
  for (const std::string_view column : kColumnNames) {
    const uint16_t name = intern(column, &impl->names);
    impl->entries.push_back({.name = name, .partner_name = name});
  }
  for (const MappingEntry& entry : partner.parameter_mapping) {
    const uint16_t name = intern(entry.name, &impl->names);
    // An empty name on the right maps the left name to itself.
    const uint16_t partner_name =
        entry.partner_name.empty() ? name : intern(entry.partner_name, &impl->names);
    size_t index = 0;
    while (index < impl->entries.size() && impl->entries[index].name != name) ++index;
    if (index == impl->entries.size()) impl->entries.push_back({});
    impl->entries[index] = {.name = name, .partner_name = partner_name, .mapped = true};
  }
  for (const std::string& name : impl->names) {
    base::append_json_string(&impl->json_names.emplace_back(), name);
    impl->json_names.back().push_back(':');
  }
  build_slots(impl.get());

  std::shared_ptr<Mapping> mapping(new Mapping());
  mapping->impl_ = std::move(impl);
  return std::shared_ptr<const Mapping>(std::move(mapping));
}

}  // namespace postback::conversion
