// Gathers a request's head (request line, header fields, empty line) under the limits, and shows
// every line to the guard as soon as it is complete. The order of all checks follows the order of
// the bytes, so the outcome is the same however they are split over inputs.
#pragma once

#include <cstddef>
#include <string_view>

#include "http/line_gatherer.h"
#include "http/parser.h"
#include "http/section_limits.h"

namespace postback::http {

class HeadReader {
 public:
  enum class Status { need_more, complete, refused };

  explicit HeadReader(const Limits& limits) : limits_(limits), section_(limits) {}

  // Takes bytes off the front of *input, up to the end of the head. Empty lines before the request
  // line (RFC 9112 section 2.2) are dropped, at most kEmptyLinesMax.
  Status take(std::string_view* input);
  const Refusal& refusal() const { return *refusal_; }  // Static.

  // The whole head, when complete.
  std::string_view text() const { return lines_.text(); }
  bool borrows() const { return lines_.borrows(); }
  // No byte of a request has come; an empty line before it does not count.
  bool empty() const { return lines_.empty(); }

  void keep() { lines_.keep(); }
  void clear();
  void shrink(size_t bytes_max) { lines_.shrink(bytes_max); }
  size_t memory_bytes() const { return lines_.memory_bytes(); }

 private:
  static constexpr int kEmptyLinesMax = 2;

  Status take_request_line(std::string_view* input);
  Status take_field_line(std::string_view* input);
  Status refuse(const Refusal& refusal);

  const Limits& limits_;
  LineGatherer lines_;
  SectionLimits section_;
  const Refusal* refusal_ = nullptr;
  bool in_fields_ = false;
  int empty_line_count_ = 0;
};

}  // namespace postback::http
