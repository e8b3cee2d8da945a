// Fuzz target of postback/decimal: what parses prints and parses again to the same. Not part of the
// Meson build; with clang, from the root:
//   clang++-14 -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -Iinclude -Isrc
//     tests/fuzz/decimal_fuzz.cc src/base/decimal.cc -o decimal_fuzz &&
//     ./decimal_fuzz tests/fuzz/corpus/decimal
#include <cstdint>

#include "base/check.h"
#include "postback/decimal.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using postback::Decimal;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  Decimal first{.units = 7, .scale = 3};
  if (!Decimal::parse(text, &first)) {
    CHECK(first.units == 7 && first.scale == 3);
    return 0;
  }
  CHECK(first.scale <= Decimal::kScaleMax);
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
