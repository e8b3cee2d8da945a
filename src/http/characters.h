// Character classes and small text functions of RFC 9110, independent of any locale.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace postback::http {

constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
constexpr bool is_alpha(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
constexpr bool is_hex_digit(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
constexpr char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

// tchar, RFC 9110 section 5.6.2.
constexpr bool is_token_char(char c) {
  return is_digit(c) || is_alpha(c) ||
         (c != '\0' && std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos);
}

// The same as a table, for the loop over every header's name.
inline constexpr auto kIsTokenChar = [] {
  std::array<bool, 256> table{};
  for (size_t i = 0; i < table.size(); i++) table[i] = is_token_char(static_cast<char>(i));
  return table;
}();

// The length of the token at the front of the text; 0 when there is none.
constexpr size_t token_length(std::string_view text) {
  size_t length = 0;
  while (length < text.size() && kIsTokenChar[static_cast<unsigned char>(text[length])]) length++;
  return length;
}

// The length of the quoted-string (RFC 9110 section 5.6.4) at the front of the text, with its
// quotes; 0 when there is none. The text holds no control characters but HTAB.
constexpr size_t quoted_string_length(std::string_view text) {
  if (text.empty() || text[0] != '"') return 0;
  for (size_t i = 1; i < text.size(); i++) {
    if (text[i] == '"') return i + 1;
    if (text[i] == '\\') i++;
  }
  return 0;
}

// OWS, RFC 9110 section 5.6.3.
constexpr std::string_view trim_front(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  return text;
}
constexpr std::string_view trim(std::string_view text) {
  text = trim_front(text);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

constexpr bool equal_ignoring_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); i++) {
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

}  // namespace postback::http
