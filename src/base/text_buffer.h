// Memory into which text is written through plain pointers: room is made once for several pieces,
// and a piece costs little more than the copy. For text that is built for every postback, where
// the appends of std::string cost more than the few bytes that they copy.
//
// Owner and thread: one. The memory is kept for the next text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/check.h"

namespace postback::base {

// Copies text that is mostly short: as two words that overlap, without a call.
inline char* put_short(char* to, std::string_view text) {
  const char* const from = text.data();
  const size_t size = text.size();
  const auto copy_ends = [&](auto word) {
    auto last = word;
    std::memcpy(&word, from, sizeof word);
    std::memcpy(&last, from + size - sizeof last, sizeof last);
    std::memcpy(to, &word, sizeof word);
    std::memcpy(to + size - sizeof last, &last, sizeof last);
  };
  using Words = uint64_t __attribute__((vector_size(16)));
  if (size > 2 * sizeof(Words)) {
    std::memcpy(to, from, size);
  } else if (size >= sizeof(Words)) {
    copy_ends(Words{});
  } else if (size >= sizeof(uint64_t)) {
    copy_ends(uint64_t{});
  } else if (size >= sizeof(uint32_t)) {
    copy_ends(uint32_t{});
  } else if (size > 0) {
    to[0] = from[0];
    to[size / 2] = from[size / 2];
    to[size - 1] = from[size - 1];
  }
  return to + size;
}

// Writes `text` at `to`, which has room for it; returns the end of what was written. So do all
// functions named put_….
inline char* put(char* to, std::string_view text) {
  if (!__builtin_constant_p(text.size())) return put_short(to, text);
  if (!text.empty()) std::memcpy(to, text.data(), text.size());  // A literal: no call either.
  return to + text.size();
}
inline char* put(char* to, char c) {
  *to = c;
  return to + 1;
}

// Appends what `write` puts at the place it is given, which has room for `bytes_max` bytes; it
// returns the end of what it has put there.
template <typename Write>
void append_with(std::string* out, size_t bytes_max, Write write) {
  const size_t before = out->size();
  out->resize(before + bytes_max);
  const char* end = write(out->data() + before);
  out->resize(static_cast<size_t>(end - out->data()));
}

class TextBuffer {
 public:
  std::string_view view() const { return {bytes_.get(), size_}; }
  size_t size() const { return size_; }
  char* data() { return bytes_.get(); }  // For changes to what was written.
  // Gives the memory back when it is larger than `bytes_kept`.
  void clear(size_t bytes_kept) {
    size_ = 0;
    if (capacity_ <= bytes_kept) return;
    bytes_.reset();
    capacity_ = 0;
  }

  // The end of the text, with room for `bytes` more. Until the next call; end it with close().
  char* open(size_t bytes) {
    if (capacity_ - size_ < bytes) grow(bytes);
    return bytes_.get() + size_;
  }
  // `end`: of what was written since open().
  void close(const char* end) {
    size_ = static_cast<size_t>(end - bytes_.get());
    CHECK(size_ <= capacity_);
  }

 private:
  void grow(size_t bytes) {
    const size_t capacity = 2 * (size_ + bytes);
    auto larger = std::make_unique_for_overwrite<char[]>(capacity);
    if (size_ > 0) std::memcpy(larger.get(), bytes_.get(), size_);
    bytes_ = std::move(larger);
    capacity_ = capacity;
  }

  std::unique_ptr<char[]> bytes_;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

}  // namespace postback::base
