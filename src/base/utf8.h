// UTF-8 (RFC 3629) over bytes from outside. Pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace postback::base {

bool is_valid_utf8(std::string_view text);
// Length of the valid sequence at the start of `text` (1 to 4), or 0 when it is invalid; then
// *invalid_size is the length of the maximal invalid part to skip (at least 1). `text` not empty.
size_t utf8_sequence_size(std::string_view text, size_t* invalid_size);
// The code point of one valid sequence.
uint32_t utf8_code_point(std::string_view sequence);
// Appends `text` with every invalid part and every NUL replaced by U+FFFD. Returns whether
// anything was replaced.
bool append_repaired_utf8(std::string* out, std::string_view text);
// Count of code points in valid UTF-8.
size_t utf8_character_count(std::string_view text);

}  // namespace postback::base
