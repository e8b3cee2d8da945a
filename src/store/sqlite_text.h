// The text in which SQLite rows hold times and sums.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "postback/decimal.h"

namespace postback::store {

// Replaces *out by "2025-01-15T10:20:30.000000Z": always six decimals, so that the text sorts by
// time. (base::append_iso8601 leaves a zero fraction out; '.' sorts below 'Z'.)
void set_time_text(std::string* out, int64_t time_us);
// Reads exactly that form. False, and *out unchanged, for anything else.
[[nodiscard]] bool parse_time_text(std::string_view text, int64_t* out);

// Reads a sum as Decimal::append_to() writes it: any that a Decimal can hold, where
// Decimal::parse(), meant for one amount, stops at 30 digits. False, and *out unchanged, for
// anything else.
[[nodiscard]] bool parse_sum(std::string_view text, Decimal* out);

}  // namespace postback::store
