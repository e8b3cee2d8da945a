// How a body is to be read, from its Content-Type (RFC 9110 section 8.3).
#pragma once

#include <cstdint>
#include <string_view>

namespace postback::conversion {

enum class BodyKind : uint8_t {
  none,         // No Content-Type: look at the body.
  form,         // application/x-www-form-urlencoded
  json,         // application/json, text/json, application/*+json
  unsupported,  // Another type, another charset than UTF-8 (or its part US-ASCII), or malformed.
};

// `content_type`: the header's value, empty when absent.
BodyKind body_kind(std::string_view content_type);

}  // namespace postback::conversion
