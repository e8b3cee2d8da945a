// Text from outside as it may reach a terminal or a one-line message. Pure functions.
#pragma once

#include <string>
#include <string_view>

namespace postback::base {

// Appends `text` with every byte that could steer a terminal or break the line written as \xHH (or
// \n, \r, \t): control characters (C0, DEL, C1), invalid UTF-8, and as \u{HHHH} the characters that
// reorder what is read (bidirectional controls, line and paragraph separators).
void append_printable(std::string* out, std::string_view text);

// Several lines that a program prints, text or JSON: line ends and tabs stay. What could steer a
// terminal or reorder what is read is written as \uHHHH, so that JSON stays JSON and says the same;
// control bytes below U+0020 and invalid UTF-8, which JSON does not hold, as \xHH.
void append_printable_output(std::string* out, std::string_view text);

// The same as append_printable(), cut to `bytes_max` of the input with an ellipsis behind.
std::string printable(std::string_view text, size_t bytes_max = 200);

}  // namespace postback::base
