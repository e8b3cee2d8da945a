// Writing JSON (RFC 8259) by appending to a string. Pure functions; the caller places commas.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace postback::base {

// Appends `text` as a JSON string with its quotes. Escapes quote, backslash and control bytes;
// bytes that are not UTF-8 become U+FFFD, one per maximal invalid part, so the result is always
// valid JSON in valid UTF-8. NUL becomes U+FFFD too: PostgreSQL's text cannot hold it.
void append_json_string(std::string* out, std::string_view text);
// Appends a decimal integer.
void append_integer(std::string* out, int64_t value);
// Appends "name": with its quotes and the colon; `name` is a literal of ours, not escaped.
inline void append_json_name(std::string* out, std::string_view name) {
  out->push_back('"');
  out->append(name);
  out->append("\":");
}

}  // namespace postback::base
