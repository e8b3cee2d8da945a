// An exact decimal amount: units x 10^-scale. Keeps the scale it came with ("99.90" stays 99.90).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace postback {

struct Decimal {
  __int128 units = 0;
  uint8_t scale = 0;  // 0 to kScaleMax.

  static constexpr int kIntegerDigitsMax = 18;  // Leading zeros do not count.
  static constexpr int kScaleMax = 12;

  // Sign (- or +), digits, optionally a point and digits; at least one digit. No exponent, no
  // white space, no separators. False, and *out unchanged, for anything else or out of bounds.
  [[nodiscard]] static bool parse(std::string_view text, Decimal* out);
  // Appends the shortest exact form that keeps the scale: "-0.50", "100", "0.000000000001".
  void append_to(std::string* out) const;
  // The same at `to`, which has room for kTextBytesMax; returns the end.
  char* write_to(char* to) const;
  static constexpr size_t kTextBytesMax = 48;  // 39 digits of units, sign, point, leading zero.
  std::string to_string() const;
  // Exact; 10^8 addends of the greatest size fit. The result has the larger scale of the two.
  void add(const Decimal& other);
  // Compares values, not scales: 1.0 == 1.
  friend bool operator==(const Decimal& a, const Decimal& b);
};

}  // namespace postback
