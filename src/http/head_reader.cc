#include "http/head_reader.h"

#include "http/guard.h"
#include "http/refusals.h"

namespace postback::http {

HeadReader::Status HeadReader::take(std::string_view* input) {
  while (!input->empty()) {
    const Status status = in_fields_ ? take_field_line(input) : take_request_line(input);
    if (status != Status::need_more) return status;
  }
  return Status::need_more;
}

// Returns need_more also when the line is complete: the fields follow.
HeadReader::Status HeadReader::take_request_line(std::string_view* input) {
  const std::string_view before = *input;
  const LineGatherer::Status status = lines_.take(input, limits_.request_line_bytes_max + 1);
  if (status != LineGatherer::Status::line) {
    const std::string_view piece = before.substr(0, before.size() - input->size());
    if (!request_line_may_go_on(piece)) return refuse(kBadRequestLine);
    if (status == LineGatherer::Status::too_long) return refuse(kRequestLineTooLong);
    return Status::need_more;
  }
  const std::string_view line = lines_.line();
  if (line == "\r\n") {
    lines_.clear();
    if (++empty_line_count_ > kEmptyLinesMax) return refuse(kEmptyLines);
    return Status::need_more;
  }
  if (const Refusal* refusal = check_request_line(line)) return refuse(*refusal);
  in_fields_ = true;
  return Status::need_more;
}

HeadReader::Status HeadReader::take_field_line(std::string_view* input) {
  switch (lines_.take(input, section_.line_bytes_max())) {
    case LineGatherer::Status::need_more:
      return Status::need_more;
    case LineGatherer::Status::too_long:
      return refuse(kHeaderTooLarge);
    case LineGatherer::Status::line:
      break;
  }
  const std::string_view line = lines_.line();
  if (line == "\r\n") return Status::complete;
  if (const Refusal* refusal = section_.add_field(line.size())) return refuse(*refusal);
  if (const Refusal* refusal = check_field_line(line)) return refuse(*refusal);
  return Status::need_more;
}

HeadReader::Status HeadReader::refuse(const Refusal& refusal) {
  refusal_ = &refusal;
  return Status::refused;
}

void HeadReader::clear() {
  lines_.clear();
  section_.clear();
  refusal_ = nullptr;
  in_fields_ = false;
  empty_line_count_ = 0;
}

}  // namespace postback::http
