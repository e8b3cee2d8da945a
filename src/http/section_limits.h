// How large a section of header fields (a head's or a trailer's) may still become.
#pragma once

#include <algorithm>
#include <cstddef>

#include "http/parser.h"
#include "http/refusals.h"

namespace postback::http {

class SectionLimits {
 public:
  explicit SectionLimits(const Limits& limits) : limits_(limits) {}

  void clear() { bytes_ = field_count_ = 0; }

  // The bytes that may stand before the next line's LF: its CR, and what one field and the whole
  // section (counted with the ends of its lines, without the closing empty line) may take.
  size_t line_bytes_max() const {
    return 1 + std::min(limits_.header_bytes_max, limits_.head_bytes_max - bytes_);
  }

  // Counts a field line, given with its LF. Null while the limits hold.
  const Refusal* add_field(size_t line_bytes) {
    if (line_bytes > limits_.head_bytes_max - bytes_) return &kHeaderTooLarge;
    bytes_ += line_bytes;
    field_count_++;
    return field_count_ > limits_.header_count_max ? &kTooManyHeaders : nullptr;
  }

 private:
  const Limits& limits_;
  size_t bytes_ = 0;  // Never above head_bytes_max.
  size_t field_count_ = 0;
};

}  // namespace postback::http
