// What clients make a core hold for requests that have begun and not ended, and of whom it takes
// memory back when they are too many: of the laziest, those whose request began first. Somebody who
// sends in one piece is hardly ever among them. Thread: the core's.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace postback::server {

class HeldBytes {
 public:
  struct Holder {
    uint32_t connection = 0;
    uint64_t since_ns = 0;
    size_t bytes = 0;
  };

  explicit HeldBytes(size_t bytes_max) : bytes_max_(bytes_max) {}

  // One connection holds `now` where it held *before; *before follows.
  void change(size_t* before, size_t now) {
    bytes_ += now - *before;
    *before = now;
  }
  size_t bytes() const { return bytes_; }
  bool too_many() const { return bytes_ > bytes_max_; }

  // The laziest of the holders that together bring `bytes` well below the bound, so that they are
  // not looked for again with the next byte that comes.
  static std::vector<Holder> laziest(std::vector<Holder> holders, size_t bytes, size_t bytes_max) {
    std::sort(holders.begin(), holders.end(),
              [](const Holder& a, const Holder& b) { return a.since_ns < b.since_ns; });
    const size_t goal = bytes_max - bytes_max / 8;
    size_t count = 0;
    for (; count < holders.size() && bytes > goal; ++count) {
      bytes -= std::min(bytes, holders[count].bytes);
    }
    holders.resize(count);
    return holders;
  }
  std::vector<Holder> laziest(std::vector<Holder> holders) const {
    return laziest(std::move(holders), bytes_, bytes_max_);
  }

 private:
  const size_t bytes_max_;
  size_t bytes_ = 0;
};

}  // namespace postback::server
