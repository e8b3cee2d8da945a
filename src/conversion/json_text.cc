#include "conversion/json_text.h"

#include <cstddef>

#include "conversion/ascii.h"

namespace postback::conversion {
namespace {

// Removes the digits at the start of *text; false when there is none.
bool skip_digits(std::string_view* text) {
  size_t count = 0;
  while (count < text->size() && is_digit((*text)[count])) ++count;
  text->remove_prefix(count);
  return count > 0;
}

// RFC 8259 section 6.
bool is_json_number(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  const bool leading_zero = text.starts_with('0');
  const size_t size_before = text.size();
  if (!skip_digits(&text)) return false;
  if (leading_zero && size_before - text.size() > 1) return false;
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    if (!skip_digits(&text)) return false;
  }
  if (text.starts_with('e') || text.starts_with('E')) {
    text.remove_prefix(1);
    if (text.starts_with('+') || text.starts_with('-')) text.remove_prefix(1);
    if (!skip_digits(&text)) return false;
  }
  return text.empty();
}

// The code unit of the escape \uXXXX at `position`, or -1 when there is none.
int unicode_escape(std::string_view text, size_t position) {
  if (text.size() - position < 6 || text[position] != '\\' || text[position + 1] != 'u') return -1;
  int unit = 0;
  for (size_t i = position + 2; i < position + 6; ++i) {
    const int digit = hex_digit(text[i]);
    if (digit < 0) return -1;
    unit = unit * 16 + digit;
  }
  return unit;
}

constexpr bool is_high_surrogate(int unit) {
  return unit >= 0xD800 && unit <= 0xDBFF;
}
constexpr bool is_low_surrogate(int unit) {
  return unit >= 0xDC00 && unit <= 0xDFFF;
}

}  // namespace

bool is_json_scalar(std::string_view text) {
  return text == "true" || text == "false" || text == "null" || is_json_number(text);
}

bool has_lone_surrogate(std::string_view text) {
  // In JSON a backslash stands only inside strings, where it always takes the next byte with it.
  size_t position = text.find('\\');
  while (position != std::string_view::npos && position + 1 < text.size()) {
    const int unit = unicode_escape(text, position);
    if (is_low_surrogate(unit)) return true;
    size_t size = unit < 0 ? 2 : 6;
    if (is_high_surrogate(unit)) {
      const size_t next = position + size;
      if (next >= text.size() || !is_low_surrogate(unicode_escape(text, next))) return true;
      size += 6;
    }
    position = text.find('\\', position + size);
  }
  return false;
}

bool append_json_without_nul(std::string* out, std::string_view json) {
  bool replaced = false;
  size_t copied = 0;
  size_t position = json.find('\\');
  while (position != std::string_view::npos && position + 1 < json.size()) {
    const int unit = unicode_escape(json, position);
    const size_t size = unit < 0 ? 2 : 6;
    if (unit == 0) {
      out->append(json.substr(copied, position - copied)).append("\\ufffd");
      copied = position + size;
      replaced = true;
    }
    position = json.find('\\', position + size);
  }
  out->append(json.substr(copied));
  return replaced;
}

}  // namespace postback::conversion
