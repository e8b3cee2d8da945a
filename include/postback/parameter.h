// A parameter of a postback, decoded: what the query string, the form or the JSON body carried.
#pragma once

#include <cstdint>
#include <string_view>

namespace postback {

struct Parameter {
  enum class Source : uint8_t { query, body };
  std::string_view name;   // Decoded bytes; may be invalid UTF-8 (query and form only).
  std::string_view value;  // Decoded; for a JSON member that is not a string, its JSON text.
  Source source = Source::query;
  // The value is JSON text (number, true, false, null, array, object) to be kept as it is.
  bool is_json = false;
  // Known to be ASCII without NUL, so that nobody needs to look again: name and value. False says
  // nothing.
  bool is_ascii = false;
};

}  // namespace postback
