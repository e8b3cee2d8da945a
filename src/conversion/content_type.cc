#include "conversion/content_type.h"

#include <algorithm>
#include <cstddef>

#include "conversion/ascii.h"

namespace postback::conversion {
namespace {

BodyKind kind_of_media_type(std::string_view type) {
  constexpr std::string_view kApplication = "application/";
  constexpr std::string_view kJsonSuffix = "+json";
  if (equals_ignoring_case(type, "application/x-www-form-urlencoded")) return BodyKind::form;
  if (equals_ignoring_case(type, "application/json")) return BodyKind::json;
  if (equals_ignoring_case(type, "text/json")) return BodyKind::json;
  const bool structured_json =
      type.size() > kApplication.size() + kJsonSuffix.size() &&
      equals_ignoring_case(type.substr(0, kApplication.size()), kApplication) &&
      equals_ignoring_case(type.substr(type.size() - kJsonSuffix.size()), kJsonSuffix) &&
      type.find_first_of(" \t,\"") == std::string_view::npos;
  return structured_json ? BodyKind::json : BodyKind::unsupported;
}

// Takes a parameter's value, up to the ';' behind it, off the front: a token, or a quoted-string
// (RFC 9110 section 5.6.4), whose inside *value is then, with its backslashes. False when the
// string does not end, or is followed by anything else.
bool take_value(std::string_view* text, std::string_view* value) {
  *text = trimmed(*text);
  if (!text->starts_with('"')) {
    const size_t end = std::min(text->find(';'), text->size());
    *value = trimmed(text->substr(0, end));
    text->remove_prefix(std::min(end + 1, text->size()));
    return true;
  }
  size_t end = 1;
  while (end < text->size() && (*text)[end] != '"') end += (*text)[end] == '\\' ? 2 : 1;
  if (end >= text->size()) return false;
  *value = text->substr(1, end - 1);
  *text = trimmed(text->substr(end + 1));
  if (text->empty()) return true;
  const bool ends = text->starts_with(';');
  text->remove_prefix(1);
  return ends;
}

// `value`: as it stood inside the quotes; a backslash there only says that the next character is
// meant as it is.
bool says(std::string_view value, std::string_view name) {
  for (; !value.empty() && !name.empty(); value.remove_prefix(1), name.remove_prefix(1)) {
    if (value.front() == '\\' && value.size() > 1) value.remove_prefix(1);
    if (to_lower(value.front()) != name.front()) return false;
  }
  return value.empty() && name.empty();
}

// `text`: what stands behind the media type's ';'. Parameters may be empty, and only the charset
// matters.
bool are_acceptable_parameters(std::string_view text) {
  while (!text.empty()) {
    const size_t name_end = std::min(text.find_first_of("=;"), text.size());
    const bool is_charset = equals_ignoring_case(trimmed(text.substr(0, name_end)), "charset");
    const bool has_value = name_end < text.size() && text[name_end] == '=';
    text.remove_prefix(std::min(name_end + 1, text.size()));
    std::string_view value;
    if (has_value && !take_value(&text, &value)) return false;
    if (is_charset && !says(value, "utf-8") && !says(value, "utf8") && !says(value, "us-ascii")) {
      return false;
    }
  }
  return true;
}

}  // namespace

BodyKind body_kind(std::string_view content_type) {
  if (trimmed(content_type).empty()) return BodyKind::none;
  const size_t end = std::min(content_type.find(';'), content_type.size());
  const std::string_view parameters = content_type.substr(std::min(end + 1, content_type.size()));
  if (!are_acceptable_parameters(parameters)) return BodyKind::unsupported;
  return kind_of_media_type(trimmed(content_type.substr(0, end)));
}

}  // namespace postback::conversion
