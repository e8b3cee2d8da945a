// Sixteen bytes of text compared at once. Bit i of an answer stands for byte i.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace postback::base {

class ByteWindow {
 public:
  static constexpr size_t kBytes = 16;

  // The first min(size, 16) bytes at `at`; NUL bytes stand for those that are missing.
  ByteWindow(const char* at, size_t size) {
    if (size < kBytes) {
      std::memcpy(&bytes_, at, size);
    } else {
      std::memcpy(&bytes_, at, kBytes);
    }
  }

  uint32_t equal(char c) const { return mask(bytes_ == c); }
  uint32_t equal(char a, char b) const { return mask((bytes_ == a) | (bytes_ == b)); }
  // Control characters of ASCII: below SP, and DEL.
  uint32_t control() const { return mask(((bytes_ >= 0) & (bytes_ < ' ')) | (bytes_ == 0x7f)); }
  // All but SP and the visible characters of ASCII.
  uint32_t not_printable() const { return mask((bytes_ < ' ') | (bytes_ == 0x7f)); }
  // NUL, and bytes above 0x7F.
  uint32_t nul_or_not_ascii() const { return mask(bytes_ <= 0); }

 private:
  using Bytes = signed char __attribute__((vector_size(kBytes)));

  // The highest bits, which a comparison sets in a byte for which it holds.
  static uint32_t mask(Bytes compared) {
#ifdef __SSE2__
    return static_cast<uint32_t>(_mm_movemask_epi8(reinterpret_cast<__m128i>(compared)));
#else
    uint32_t mask = 0;
    for (size_t i = 0; i < kBytes; ++i) mask |= (compared[i] & 1u) << i;
    return mask;
#endif
  }

  Bytes bytes_ = {};
};

}  // namespace postback::base
