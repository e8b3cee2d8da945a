// A JSON body (RFC 8259) whose root is an object: each member is a parameter. Strings are decoded;
// every other value is kept as its JSON text, so that numbers stay exact. The whole document is
// validated, nested arrays and objects too.
//
// Refused: syntax errors, anything behind the object, more than kJsonDepthMax levels, invalid
// UTF-8, lone surrogates (invalid_json); another root (json_not_object); two members of the root
// with the same name (duplicate_key). Repeated names inside nested objects are kept as they are:
// nobody reads them here. A byte order mark is skipped.
#pragma once

#include <simdjson.h>

#include <string>
#include <string_view>

#include "conversion/parameter_list.h"

namespace postback::conversion {

constexpr int kJsonDepthMax = 16;  // Levels of arrays and objects; the root is the first.

class JsonBody {
 public:
  // Adds the members to *list in their order, raising list->fault() when something is wrong; then
  // the members before the wrong place are in the list. The parameters borrow from this object,
  // until its next parse().
  void parse(std::string_view body, ParameterList* list);

 private:
  // simdjson reads up to SIMDJSON_PADDING bytes behind the document, so it is copied here first.
  std::string padded_;
  simdjson::ondemand::parser parser_;
};

}  // namespace postback::conversion
