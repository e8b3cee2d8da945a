#include "base/uuid.h"

#include <sys/random.h>

#include "base/check.h"

namespace postback::base {
namespace {

constexpr size_t kTextSize = 36;

bool is_dash(size_t at) {
  return at == 8 || at == 13 || at == 18 || at == 23;
}

// -1: no hexadecimal digit.
int digit_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::string random_uuid() {
  UuidBytes bytes{};
  // Up to 256 bytes come whole, or not at all (getrandom(2)).
  CHECK(getrandom(bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
  bytes[6] = static_cast<uint8_t>((bytes[6] & 0x0F) | 0x40);  // Version 4.
  bytes[8] = static_cast<uint8_t>((bytes[8] & 0x3F) | 0x80);  // The variant of the RFC.
  return uuid_text(bytes);
}

std::string uuid_text(const UuidBytes& bytes) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  for (const uint8_t byte : bytes) {
    if (is_dash(text.size())) text.push_back('-');
    text.push_back(kHex[byte >> 4]);
    text.push_back(kHex[byte & 15]);
  }
  return text;
}

bool parse_uuid(std::string_view text, UuidBytes* out) {
  if (text.size() != kTextSize) return false;
  UuidBytes bytes{};
  size_t digits = 0;
  for (size_t at = 0; at < kTextSize; ++at) {
    if (is_dash(at)) {
      if (text[at] != '-') return false;
      continue;
    }
    const int value = digit_value(text[at]);
    if (value < 0) return false;
    bytes[digits / 2] = static_cast<uint8_t>(bytes[digits / 2] << 4 | value);
    ++digits;
  }
  *out = bytes;
  return true;
}

}  // namespace postback::base
