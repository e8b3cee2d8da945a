#include "http/line_gatherer.h"

#include <algorithm>
#include <cstring>

namespace postback::http {

LineGatherer::Status LineGatherer::take(std::string_view* input, size_t bytes_max) {
  if (line_complete_) {
    line_start_ = size_;
    line_complete_ = false;
  }
  if (input->empty()) return Status::need_more;
  if (size_ == 0) borrowed_ = input->data();

  const size_t line_bytes = size_ - line_start_;
  const size_t room = bytes_max > line_bytes ? bytes_max - line_bytes : 0;
  const size_t searched = std::min(input->size(), room + 1);
  const void* lf = std::memchr(input->data(), '\n', searched);

  Status status = Status::line;
  size_t taken = 0;
  if (lf != nullptr) {
    taken = static_cast<size_t>(static_cast<const char*>(lf) - input->data()) + 1;
    line_complete_ = true;
  } else {
    taken = std::min(input->size(), room);
    status = input->size() > room ? Status::too_long : Status::need_more;
  }
  if (borrowed_ == nullptr) owned_.append(input->data(), taken);
  size_ += taken;
  input->remove_prefix(taken);
  return status;
}

void LineGatherer::keep() {
  if (borrowed_ == nullptr) return;
  owned_.assign(borrowed_, size_);
  borrowed_ = nullptr;
}

void LineGatherer::clear() {
  owned_.clear();
  borrowed_ = nullptr;
  size_ = 0;
  line_start_ = 0;
  line_complete_ = false;
}

void LineGatherer::shrink(size_t bytes_max) {
  if (owned_.capacity() > bytes_max) std::string().swap(owned_);
}

}  // namespace postback::http
