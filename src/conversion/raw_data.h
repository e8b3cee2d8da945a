// The two JSON columns of a row. Always valid JSON without repeated names, in valid UTF-8 without
// NUL.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/text_buffer.h"
#include "conversion/mapping_impl.h"
#include "conversion/parameter_table.h"
#include "postback/header.h"

namespace postback::conversion {

class RawDataWriter {
 public:
  // Where a value's text stands in what was appended, behind its opening quote.
  struct Place {
    size_t position = 0;
    int item = 0;  // Of the table.
  };

  // Appends one JSON object: every parameter as it came, in order (an array where a name came with
  // several values), then for each mapping that applied whichever of its two names did not come,
  // so that a value is found under the left name and under the partner's. Adds to *places, when it
  // is wanted, those of all values; then names are different, values are not JSON, and *out is
  // empty.
  void append_raw_data(const Mapping::Impl& mapping, const ParameterTable& table,
                       base::TextBuffer* out, std::vector<Place>* places = nullptr);

 private:
  std::vector<uint8_t> added_;  // 1 when written; by index of the mapping's names.
};

// Appends one JSON object: every header under its name as it came. Repeated ones (case does not
// count) are joined by ", " under the first's name, after RFC 9110 section 5.3. `headers`: names
// are tokens, as the parser promises.
void append_headers(std::span<const Header> headers, base::TextBuffer* out);

// The same for headers that mostly came before: their object is kept, a few kinds of them at once.
class HeadersWriter {
 public:
  // `section`: the bytes that the headers were read from, which are the same only for the same
  // headers; or empty, and nothing is kept.
  void append(std::span<const Header> headers, std::string_view section, base::TextBuffer* out);

 private:
  static constexpr size_t kSlots = 16;  // Chosen by size.
  static constexpr size_t kSectionBytesMax = 1024;
  struct Known {
    std::string section;
    std::string json;
  };
  std::array<Known, kSlots> known_;
};

}  // namespace postback::conversion
