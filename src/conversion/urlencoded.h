// application/x-www-form-urlencoded, as the WHATWG URL standard parses it (section 5.1): pieces
// between '&', empty ones skipped; name and value around the first '='; '+' is a space; %XX is a
// byte; a '%' without two hexadecimal digits stands for itself. Names and values are bytes, not
// necessarily UTF-8. There is no malformed input.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "conversion/parameter_list.h"
#include "postback/parameter.h"

namespace postback::conversion {

// Owns the memory of decoded names and values: one per text that is read at the same time.
class UrlDecoder {
 public:
  // Adds the parameters of `text` to *list, stopping when it is full. They borrow from `text` and
  // from this decoder, until its next parse().
  void parse(std::string_view text, Parameter::Source source, ParameterList* list);

 private:
  // What stands between two '&'.
  struct Piece {
    size_t start = 0;
    size_t equals = std::string_view::npos;  // Position of its first '='.
    bool is_plain = true;                    // ASCII, no NUL, nothing to decode.
  };

  bool add(std::string_view text, const Piece& piece, Parameter::Source source,
           ParameterList* list);
  std::string_view decode(std::string_view component);

  std::string decoded_;  // Never shrinks; decoding does not lengthen, so it never grows in between.
  size_t decoded_count_ = 0;
};

}  // namespace postback::conversion
