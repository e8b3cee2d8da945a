// Fuzz target of postback/decimal: takes exactly the amounts there are, and prints each as it came,
// but for what means nothing (a plus, leading zeros, a lone point).
#include <algorithm>
#include <cstdint>

#include "base/check.h"
#include "postback/decimal.h"

namespace {

bool all_digits(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// The canonical form of an amount, made from its text alone; empty when it is none.
std::string canonical(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  const size_t point = std::min(text.find('.'), text.size());
  std::string_view integer = text.substr(0, point);
  const std::string_view fraction = text.substr(std::min(point + 1, text.size()));
  if (integer.empty() && fraction.empty()) return "";
  if (!all_digits(integer) || !all_digits(fraction)) return "";
  integer.remove_prefix(std::min(integer.find_first_not_of('0'), integer.size()));
  if (integer.size() > postback::Decimal::kIntegerDigitsMax) return "";
  if (fraction.size() > postback::Decimal::kScaleMax) return "";
  const bool zero = integer.empty() && fraction.find_first_not_of('0') == std::string_view::npos;
  std::string out = negative && !zero ? "-" : "";
  out += integer.empty() ? "0" : integer;
  if (!fraction.empty()) out.append(".").append(fraction);
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using postback::Decimal;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  Decimal first{.units = 7, .scale = 3};
  const std::string expected = canonical(text);
  if (!Decimal::parse(text, &first)) {
    CHECK(expected.empty());
    CHECK(first.units == 7 && first.scale == 3);
    return 0;
  }
  CHECK(first.scale <= Decimal::kScaleMax);
  CHECK(first.to_string() == expected);
  Decimal second;
  CHECK(Decimal::parse(first.to_string(), &second));
  CHECK(first == second && first.scale == second.scale);
  // Adding and taking away again leaves the value.
  Decimal negated = first;
  negated.units = -negated.units;
  second.add(first);
  second.add(negated);
  CHECK(first == second);
  return 0;
}
