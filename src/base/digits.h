// Decimal digits, two at once.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace postback::base {

// Both digits of every number below 100.
inline constexpr std::array<char, 200> kDigitPairs = [] {
  std::array<char, 200> pairs{};
  for (size_t i = 0; i < 100; ++i) {
    pairs[2 * i] = static_cast<char>('0' + i / 10);
    pairs[2 * i + 1] = static_cast<char>('0' + i % 10);
  }
  return pairs;
}();

// Writes two digits at `to`; returns the end of what was written.
inline char* put_digit_pair(char* to, uint64_t below_100) {
  std::memcpy(to, kDigitPairs.data() + 2 * below_100, 2);
  return to + 2;
}

}  // namespace postback::base
