#include "conversion/macro.h"

#include <algorithm>
#include <cstddef>

#include "conversion/ascii.h"

namespace postback::conversion {
namespace {

constexpr size_t kNameBytesMax = 64;
constexpr size_t kGuidBytes = 36;

bool is_guid(std::string_view text) {
  if (text.size() != kGuidBytes) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;
    if (hyphen ? text[i] != '-' : hex_digit(text[i]) < 0) return false;
  }
  return true;
}

bool is_macro_name(std::string_view text) {
  if (text.size() > kNameBytesMax || is_guid(text)) return false;
  bool any_letter = false;
  for (const char c : text) {
    any_letter = any_letter || is_letter(c);
    const bool allowed =
        is_letter(c) || is_digit(c) || c == '_' || c == '-' || c == '.' || c == ' ';
    if (!allowed) return false;
  }
  return any_letter;
}

bool is_name_between(std::string_view text, std::string_view open, std::string_view close) {
  if (text.size() <= open.size() + close.size()) return false;
  return equals_ignoring_case(text.substr(0, open.size()), open) &&
         equals_ignoring_case(text.substr(text.size() - close.size()), close) &&
         is_macro_name(text.substr(open.size(), text.size() - open.size() - close.size()));
}

}  // namespace

bool is_macro_behind_opening(std::string_view text) {
  while (text.ends_with(' ')) text.remove_suffix(1);
  switch (text[0]) {
    case '{':
      return is_name_between(text, "{", "}") || is_name_between(text, "{{", "}}");
    case '[':
      return is_name_between(text, "[", "]");
    case '!':
      return is_name_between(text, "!!!", "!!!");
    case '$':
      return is_name_between(text, "${", "}");
    case '#':
      return is_name_between(text, "#", "#");
    case '%':
      return is_name_between(text, "%7b", "%7d") || is_name_between(text, "%7b%7b", "%7d%7d");
    default:
      return false;
  }
}

bool is_own_name_of_size(std::string_view text, std::string_view name) {
  return equals_ignoring_case(text, name) &&
         std::any_of(name.begin(), name.end(), [](char c) { return is_letter(c); });
}

bool is_null_word(std::string_view text) {
  return equals_ignoring_case(text, "null") || equals_ignoring_case(text, "undefined");
}

}  // namespace postback::conversion
