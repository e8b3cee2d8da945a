#include "conversion/content_type.h"

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

// `parameter`: one name=value behind the media type; empty between two semicolons.
bool is_acceptable_parameter(std::string_view parameter) {
  const size_t equals = parameter.find('=');
  if (!equals_ignoring_case(trimmed(parameter.substr(0, equals)), "charset")) return true;
  if (equals == std::string_view::npos) return false;
  std::string_view charset = trimmed(parameter.substr(equals + 1));
  if (charset.size() >= 2 && charset.front() == '"' && charset.back() == '"') {
    charset = charset.substr(1, charset.size() - 2);
  }
  return equals_ignoring_case(charset, "utf-8") || equals_ignoring_case(charset, "utf8") ||
         equals_ignoring_case(charset, "us-ascii");
}

}  // namespace

BodyKind body_kind(std::string_view content_type) {
  if (trimmed(content_type).empty()) return BodyKind::none;
  size_t end = content_type.find(';');
  const BodyKind kind = kind_of_media_type(trimmed(content_type.substr(0, end)));
  while (end != std::string_view::npos) {
    content_type.remove_prefix(end + 1);
    end = content_type.find(';');
    if (!is_acceptable_parameter(trimmed(content_type.substr(0, end)))) {
      return BodyKind::unsupported;
    }
  }
  return kind;
}

}  // namespace postback::conversion
