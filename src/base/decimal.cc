#include "postback/decimal.h"

#include <limits>

namespace postback {
namespace {

// Room for sums: the greatest amount has 30 digits of units, and 2^127 has 39.
constexpr __int128 kUnitsMax = std::numeric_limits<__int128>::max();

constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

__int128 power_of_ten(int exponent) {
  __int128 power = 1;
  for (int i = 0; i < exponent; ++i) power *= 10;
  return power;
}

// Sums beyond the documented bound stop at the limit instead of wrapping around: a total that is
// visibly absurd is better than one that is quietly wrong.
__int128 saturated(bool overflow, __int128 value, bool negative) {
  if (!overflow) return value;
  return negative ? -kUnitsMax : kUnitsMax;
}

__int128 rescaled(const Decimal& decimal, int scale) {
  __int128 units = 0;
  const bool overflow =
      __builtin_mul_overflow(decimal.units, power_of_ten(scale - decimal.scale), &units);
  return saturated(overflow, units, decimal.units < 0);
}

}  // namespace

bool Decimal::parse(std::string_view text, Decimal* out) {
  size_t position = 0;
  const bool negative = !text.empty() && text[0] == '-';
  if (negative || (!text.empty() && text[0] == '+')) ++position;

  __int128 units = 0;
  int integer_digits = 0;  // Without leading zeros.
  int fraction_digits = 0;
  bool any_digit = false;
  for (; position < text.size() && is_digit(text[position]); ++position) {
    any_digit = true;
    if (units == 0 && text[position] == '0') continue;
    if (++integer_digits > kIntegerDigitsMax) return false;
    units = units * 10 + (text[position] - '0');
  }
  if (position < text.size() && text[position] == '.') {
    for (++position; position < text.size() && is_digit(text[position]); ++position) {
      any_digit = true;
      if (++fraction_digits > kScaleMax) return false;
      units = units * 10 + (text[position] - '0');
    }
  }
  if (!any_digit || position != text.size()) return false;
  out->units = negative ? -units : units;
  out->scale = static_cast<uint8_t>(fraction_digits);
  return true;
}

void Decimal::append_to(std::string* out) const {
  // Digits from the last to the first; 39 of units, a point, a leading zero and a sign fit.
  char digits[64];
  char* const end = digits + sizeof digits;
  char* first = end;
  unsigned __int128 rest =
      units < 0 ? -static_cast<unsigned __int128>(units) : static_cast<unsigned __int128>(units);
  int written = 0;
  const auto put = [&](int digit) {
    *--first = static_cast<char>('0' + digit);
    if (++written == scale) *--first = '.';
  };
  for (; rest > UINT64_MAX; rest /= 10) put(static_cast<int>(rest % 10));
  // Division of 64 bits is many times cheaper than of 128, and enough for all but the largest sums.
  for (auto small = static_cast<uint64_t>(rest); small != 0 || written <= scale; small /= 10) {
    put(static_cast<int>(small % 10));
  }
  if (units < 0) *--first = '-';
  out->append(first, static_cast<size_t>(end - first));
}

std::string Decimal::to_string() const {
  std::string text;
  append_to(&text);
  return text;
}

void Decimal::add(const Decimal& other) {
  const uint8_t common_scale = scale > other.scale ? scale : other.scale;
  const __int128 addend = rescaled(other, common_scale);
  const __int128 before = rescaled(*this, common_scale);
  __int128 sum = 0;
  const bool overflow = __builtin_add_overflow(before, addend, &sum);
  units = saturated(overflow, sum, addend < 0);
  scale = common_scale;
}

bool operator==(const Decimal& a, const Decimal& b) {
  // Dividing the one with more decimals cannot overflow, as multiplying the other could.
  const Decimal& finer = a.scale >= b.scale ? a : b;
  const Decimal& coarser = a.scale >= b.scale ? b : a;
  const __int128 factor = power_of_ten(finer.scale - coarser.scale);
  return finer.units % factor == 0 && finer.units / factor == coarser.units;
}

}  // namespace postback
