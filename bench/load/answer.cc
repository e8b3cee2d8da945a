#include "load/answer.h"

#include <strings.h>

#include <charconv>

namespace postback::load {
namespace {

// The value of a header, without the spaces around it; empty when it is absent.
std::string_view header_value(std::string_view head, std::string_view name) {
  size_t line = head.find("\r\n");
  while (line != head.npos && line + 2 < head.size()) {
    const size_t start = line + 2;
    line = head.find("\r\n", start);
    const std::string_view text = head.substr(start, line - start);
    if (text.size() <= name.size() || text[name.size()] != ':') continue;
    if (strncasecmp(text.data(), name.data(), name.size()) != 0) continue;
    const size_t value = text.find_first_not_of(' ', name.size() + 1);
    return value == text.npos ? std::string_view() : text.substr(value);
  }
  return {};
}

bool read_size(std::string_view digits, size_t* value) {
  const auto [rest, error] = std::from_chars(digits.data(), digits.data() + digits.size(), *value);
  return error == std::errc() && rest != digits.data();
}

}  // namespace

Reading read_answer(std::string_view bytes, Answer* answer) {
  constexpr std::string_view kVersion = "HTTP/1.1 ";
  const size_t end = bytes.find("\r\n\r\n");
  if (end == bytes.npos) return Reading::kIncomplete;
  const std::string_view head = bytes.substr(0, end + 2);
  size_t status = 0;
  size_t body_size = 0;
  if (!head.starts_with(kVersion) || !read_size(head.substr(kVersion.size(), 3), &status) ||
      !read_size(header_value(head, "Content-Length"), &body_size)) {
    return Reading::kBroken;
  }
  if (bytes.size() - (end + 4) < body_size) return Reading::kIncomplete;
  const std::string_view connection = header_value(head, "Connection");
  answer->status = static_cast<int>(status);
  answer->close = connection.size() == 5 && strncasecmp(connection.data(), "close", 5) == 0;
  answer->body = bytes.substr(end + 4, body_size);
  answer->size = end + 4 + body_size;
  return Reading::kComplete;
}

std::string_view status_word(std::string_view body) {
  constexpr std::string_view kStart = "{\"status\":\"";
  if (!body.starts_with(kStart)) return {};
  body.remove_prefix(kStart.size());
  return body.substr(0, body.find('"'));
}

}  // namespace postback::load
