// Whose a record is. A partner id alone does not say it: a control database that is made anew gives
// the id to another partner. So a record is marked with the control database's own id and with the
// partner's code as well (FORMAT.md, "Record"). Records of format version 1 are not marked.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/uuid.h"

namespace postback::journal {

constexpr size_t kOwnerCodeBytesMax = 50;

struct Owner {
  Owner() = default;
  // Not marked: all that a record of format version 1 tells. Implicit, because it is a partner id.
  Owner(int32_t id) : partner_id(id) {}  // NOLINT(google-explicit-constructor)
  // `registry_id`: a UUID as text, or anything else when it is not known. The code is cut at
  // kOwnerCodeBytesMax.
  Owner(const std::string& registry_id, int32_t id, std::string partner_code);

  bool has_registry() const { return registry != base::UuidBytes{}; }
  bool is_marked() const { return has_registry() || !code.empty(); }
  auto operator<=>(const Owner&) const = default;
  bool operator==(const Owner&) const = default;

  base::UuidBytes registry{};  // Zeros: not known.
  int32_t partner_id = 0;
  std::string code;  // Of the partner when the record was made; empty: not known.
};

// "alpha", or "id:3" where the code is not known: how people name it to postbackctl.
std::string owner_name(const Owner& owner);
// "alpha (id 3 of control database f81d4fae-7dec-41d0-a765-00a0c91e6bf6)".
std::string owner_text(const Owner& owner);

}  // namespace postback::journal
