// Writing JSON (RFC 8259) by appending to a string, or, where every instruction counts, at a place
// that has room. Pure functions; the caller places commas.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/text_buffer.h"

namespace postback::base {

// Appends `text` as a JSON string with its quotes. Escapes quote, backslash and control bytes;
// bytes that are not UTF-8 become U+FFFD, one per maximal invalid part, so the result is always
// valid JSON in valid UTF-8. NUL becomes U+FFFD too: PostgreSQL's text cannot hold it.
void append_json_string(std::string* out, std::string_view text);
// The same at `to`, which has room for json_string_bytes_max(text.size()) bytes.
char* put_json_string(char* to, std::string_view text);
constexpr size_t json_string_bytes_max(size_t text_bytes) {
  return 6 * text_bytes + 2;  // "\u001f", and the quotes.
}
// Decimal integers.
void append_integer(std::string* out, int64_t value);
char* put_integer(char* to, int64_t value);
inline constexpr size_t kIntegerBytesMax = 20;  // -9223372036854775808
// Appends "name": with its quotes and the colon; `name` is a literal of ours, not escaped.
inline void append_json_name(std::string* out, std::string_view name) {
  out->push_back('"');
  out->append(name);
  out->append("\":");
}

}  // namespace postback::base
