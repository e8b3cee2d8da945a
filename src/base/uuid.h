// Random UUIDs (RFC 9562, version 4) as text: "f81d4fae-7dec-41d0-a765-00a0c91e6bf6". Pure, but for
// random_uuid(), which asks the kernel. Any thread.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace postback::base {

using UuidBytes = std::array<uint8_t, 16>;

std::string random_uuid();
// Small hexadecimal digits.
std::string uuid_text(const UuidBytes& bytes);
// False, and *out unchanged, unless `text` has that form; large digits are taken too.
[[nodiscard]] bool parse_uuid(std::string_view text, UuidBytes* out);

}  // namespace postback::base
