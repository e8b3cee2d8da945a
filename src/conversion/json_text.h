// Small questions about JSON text (RFC 8259) that simdjson does not answer. Pure functions.
#pragma once

#include <string>
#include <string_view>

namespace postback::conversion {

// A number, true, false or null, and nothing else around it.
bool is_json_scalar(std::string_view text);

// Whether a \u escape of a surrogate stands without its other half. `text`: JSON, possibly broken;
// linear.
bool has_lone_surrogate(std::string_view text);

// Appends valid JSON text with every \u0000 inside it replaced by \ufffd, which PostgreSQL's jsonb
// and every C string can hold. Returns whether anything was replaced.
bool append_json_without_nul(std::string* out, std::string_view json);

}  // namespace postback::conversion
