// The two JSON columns of a row. Always valid JSON without repeated names, in valid UTF-8 without
// NUL.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/text_buffer.h"
#include "conversion/mapping_impl.h"
#include "conversion/parameter_table.h"
#include "postback/header.h"

namespace postback::conversion {

class RawDataWriter {
 public:
  // Appends one JSON object: every parameter as it came, in order (an array where a name came with
  // several values), then for each mapping that applied whichever of its two names did not come,
  // so that a value is found under the left name and under the partner's.
  void append_raw_data(const Mapping::Impl& mapping, const ParameterTable& table,
                       base::TextBuffer* out);

 private:
  std::vector<uint8_t> added_;  // 1 when written; by index of the mapping's names.
};

// Appends one JSON object: every header under its name as it came. Repeated ones (case does not
// count) are joined by ", " under the first's name, after RFC 9110 section 5.3. `headers`: names
// are tokens, as the parser promises.
void append_headers(std::span<const Header> headers, base::TextBuffer* out);

}  // namespace postback::conversion
