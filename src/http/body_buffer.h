// A request's body, put together from the spans llhttp reports: borrowed from the input while it
// is one span of it, in own memory otherwise. The parser bounds its size.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace postback::http {

class BodyBuffer {
 public:
  void add(std::string_view span) {
    if (span.empty()) return;
    if (size() == 0) {
      borrowed_ = span;
      return;
    }
    keep();
    owned_.append(span);
  }

  std::string_view view() const { return borrowed_.empty() ? owned_ : borrowed_; }
  size_t size() const { return view().size(); }

  // Copies what is borrowed: the input goes away.
  void keep() {
    if (borrowed_.empty()) return;
    owned_.assign(borrowed_);
    borrowed_ = {};
  }
  void clear() {
    owned_.clear();
    borrowed_ = {};
  }
  void shrink(size_t bytes_max) {
    if (owned_.capacity() > bytes_max) std::string().swap(owned_);
  }
  size_t memory_bytes() const { return owned_.capacity(); }

 private:
  std::string owned_;
  std::string_view borrowed_;
};

}  // namespace postback::http
