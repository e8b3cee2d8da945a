#include "journal/owner.h"

#include <utility>

#include "base/printable.h"

namespace postback::journal {

Owner::Owner(const std::string& registry_id, int32_t id, std::string partner_code)
    : partner_id(id), code(std::move(partner_code)) {
  static_cast<void>(base::parse_uuid(registry_id, &registry));
  if (code.size() > kOwnerCodeBytesMax) code.resize(kOwnerCodeBytesMax);
}

std::string owner_name(const Owner& owner) {
  if (owner.code.empty()) return "id:" + std::to_string(owner.partner_id);
  return base::printable(owner.code, kOwnerCodeBytesMax);
}

std::string owner_text(const Owner& owner) {
  const std::string control = owner.has_registry()
                                  ? "control database " + base::uuid_text(owner.registry)
                                  : "an unknown control database";
  return owner_name(owner) + " (id " + std::to_string(owner.partner_id) + " of " + control + ")";
}

}  // namespace postback::journal
