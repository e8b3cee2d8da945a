// An Owner as bytes, the same in checkpoint and orders (FORMAT.md, "Owner").
#pragma once

#include <algorithm>

#include "journal/bytes.h"
#include "journal/owner.h"

namespace postback::journal {

constexpr size_t kOwnerBytesMax = 16 + 4 + 1 + kOwnerCodeBytesMax;

inline void append_owner(const Owner& owner, std::string* out) {
  out->append(owner.registry.begin(), owner.registry.end());
  append<uint32_t>(out, static_cast<uint32_t>(owner.partner_id));
  append<uint8_t>(out, static_cast<uint8_t>(owner.code.size()));
  out->append(owner.code);
}

// False when the bytes are no owner's; a short input shows in in->failed() too.
[[nodiscard]] inline bool take_owner(Taker* in, Owner* out) {
  const std::string_view registry = in->take_text(out->registry.size());
  if (in->failed()) return false;
  std::copy(registry.begin(), registry.end(), out->registry.begin());
  out->partner_id = static_cast<int32_t>(in->take<uint32_t>());
  const auto size = in->take<uint8_t>();
  if (size > kOwnerCodeBytesMax) return false;
  out->code = in->take_text(size);
  return !in->failed();
}

}  // namespace postback::journal
