#include "postback/decimal.h"

#include <cstring>
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

// Integer and fraction are read apart, so that each fits into 64 bits.
bool Decimal::parse(std::string_view text, Decimal* out) {
  static_assert(kIntegerDigitsMax <= 18 && kScaleMax <= 18);
  const char* at = text.data();
  const char* const end = at + text.size();
  const bool negative = at != end && *at == '-';
  if (at != end && (*at == '-' || *at == '+')) ++at;

  const char* const integer_start = at;
  while (at != end && *at == '0') ++at;
  const char* const digits_start = at;
  uint64_t integer = 0;
  for (; at != end && is_digit(*at); ++at) {
    if (at - digits_start == kIntegerDigitsMax) return false;
    integer = integer * 10 + static_cast<uint64_t>(*at - '0');
  }
  bool any_digit = at != integer_start;

  uint64_t fraction = 0;
  int64_t fraction_digits = 0;
  if (at != end && *at == '.') {
    const char* const fraction_start = ++at;
    for (; at != end && is_digit(*at); ++at) {
      if (at - fraction_start == kScaleMax) return false;
      fraction = fraction * 10 + static_cast<uint64_t>(*at - '0');
    }
    fraction_digits = at - fraction_start;
    any_digit = any_digit || fraction_digits > 0;
  }
  if (!any_digit || at != end) return false;
  const __int128 units =
      static_cast<__int128>(integer) * power_of_ten(static_cast<int>(fraction_digits)) + fraction;
  out->units = negative ? -units : units;
  out->scale = static_cast<uint8_t>(fraction_digits);
  return true;
}

char* Decimal::write_to(char* to) const {
  // Digits from the last to the first.
  char digits[kTextBytesMax];
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
  const auto size = static_cast<size_t>(end - first);
  std::memcpy(to, first, size);
  return to + size;
}

void Decimal::append_to(std::string* out) const {
  char text[kTextBytesMax];
  out->append(text, static_cast<size_t>(write_to(text) - text));
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
