#include "postback/decimal.h"

#include <charconv>
#include <limits>

#include "base/check.h"
#include "base/digits.h"

namespace postback {
namespace {

using base::put_digit_pair;

// Room for sums: the greatest amount has 30 digits of units, and 2^127 has 39.
constexpr __int128 kUnitsMax = std::numeric_limits<__int128>::max();

constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// 10^exponent, for the exponents that a scale can have.
inline uint64_t power_of_ten(int exponent) {
  static_assert(Decimal::kScaleMax == 12);
  static constexpr uint64_t kPowers[] = {1,
                                         10,
                                         100,
                                         1'000,
                                         10'000,
                                         100'000,
                                         1'000'000,
                                         10'000'000,
                                         100'000'000,
                                         1'000'000'000,
                                         10'000'000'000,
                                         100'000'000'000,
                                         1'000'000'000'000};
  CHECK(exponent >= 0 && exponent <= Decimal::kScaleMax);
  return kPowers[exponent];
}

// The last `count` digits, leading zeros too.
char* put_digits(char* to, uint64_t value, int count) {
  if (count == 2) return put_digit_pair(to, value % 100);  // Nearly all amounts.
  char* at = to + count;
  for (; at - to >= 2; value /= 100) put_digit_pair(at -= 2, value % 100);
  if (at != to) *to = static_cast<char>('0' + value % 10);
  return to + count;
}

char* put_number(char* to, unsigned __int128 value) {
  constexpr int kDigits = 19;  // As many as always fit into 64 bits.
  constexpr uint64_t kPower = 10'000'000'000'000'000'000u;
  if (value <= UINT64_MAX) {
    return std::to_chars(to, to + kDigits + 1, static_cast<uint64_t>(value)).ptr;
  }
  to = put_number(to, value / kPower);
  return put_digits(to, static_cast<uint64_t>(value % kPower), kDigits);
}

// The same for a number of four digits at most, as the integers of nearly all amounts are.
char* put_short_number(char* to, uint64_t value) {
  if (value >= 1000) return put_digit_pair(put_digit_pair(to, value / 100), value % 100);
  if (value >= 100) {
    *to++ = static_cast<char>('0' + value / 100);
    return put_digit_pair(to, value % 100);
  }
  if (value >= 10) return put_digit_pair(to, value);
  *to = static_cast<char>('0' + value);
  return to + 1;
}

// Sums beyond the documented bound stop at the limit instead of wrapping around: a total that is
// visibly absurd is better than one that is quietly wrong.
__int128 saturated(bool overflow, __int128 value, bool negative) {
  if (!overflow) return value;
  return negative ? -kUnitsMax : kUnitsMax;
}

__int128 rescaled(const Decimal& decimal, int scale) {
  if (decimal.scale == scale) return decimal.units;
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
  if (units < 0) *to++ = '-';
  const auto magnitude =
      units < 0 ? -static_cast<unsigned __int128>(units) : static_cast<unsigned __int128>(units);
  const uint64_t one = power_of_ten(scale);
  uint64_t fraction = 0;
  if (magnitude <= UINT64_MAX) {
    // Division of 64 bits is many times cheaper than of 128, and enough for all but large sums.
    const auto small = static_cast<uint64_t>(magnitude);
    const uint64_t integer = small / one;
    to = integer < 10'000 ? put_short_number(to, integer) : put_number(to, integer);
    fraction = small - integer * one;
  } else {
    to = put_number(to, magnitude / one);
    fraction = static_cast<uint64_t>(magnitude % one);
  }
  if (scale == 0) return to;
  *to++ = '.';
  return put_digits(to, fraction, scale);
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
