#include "http/guard.h"

#include <algorithm>
#include <cstdint>

#include "base/byte_window.h"
#include "http/characters.h"
#include "http/refusals.h"

namespace postback::http {
namespace {

using base::ByteWindow;

// Whether no byte of the text is one that `find` marks in a window.
template <typename Find>
bool has_none(std::string_view text, Find find) {
  for (size_t start = 0; start < text.size(); start += ByteWindow::kBytes) {
    const size_t size = std::min(ByteWindow::kBytes, text.size() - start);
    const uint32_t found = find(ByteWindow(text.data() + start, size));
    if ((found & ((1u << size) - 1)) != 0) return false;
  }
  return true;
}

// SP and the visible characters of ASCII.
bool is_printable(std::string_view text) {
  return has_none(text, [](const ByteWindow& window) { return window.not_printable(); });
}

// field-value with white space around it: HTAB, SP, visible characters and obs-text (0x80 and up).
bool is_field_value(std::string_view text) {
  return has_none(text,
                  [](const ByteWindow& window) { return window.control() & ~window.equal('\t'); });
}

bool ends_in_crlf(std::string_view line) {
  return line.size() >= 2 && line[line.size() - 2] == '\r' && line[line.size() - 1] == '\n';
}

// chunk-ext = *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] ), RFC 9112 section
// 7.1.1: a name is a token, a value a token or a quoted-string. White space at the end belongs to
// nothing.
bool is_chunk_extensions(std::string_view text) {
  while (!text.empty()) {
    text = trim_front(text);
    if (text.empty() || text[0] != ';') return false;
    text = trim_front(text.substr(1));
    const size_t name_size = token_length(text);
    if (name_size == 0) return false;
    text.remove_prefix(name_size);
    std::string_view value = trim_front(text);
    if (value.empty() || value[0] != '=') continue;
    value = trim_front(value.substr(1));
    const size_t value_size = std::max(token_length(value), quoted_string_length(value));
    if (value_size == 0) return false;
    text = value.substr(value_size);
  }
  return true;
}

const Refusal* check_version(std::string_view version) {
  if (version == "HTTP/1.1" || version == "HTTP/1.0") return nullptr;
  const bool well_formed = version.size() == 8 && version.substr(0, 5) == "HTTP/" &&
                           is_digit(version[5]) && version[6] == '.' && is_digit(version[7]);
  return well_formed ? &kUnsupportedVersion : &kBadRequestLine;
}

}  // namespace

bool request_line_may_go_on(std::string_view piece) {
  for (const char c : piece) {
    if ((c < 0x20 || c > 0x7e) && c != '\r') return false;
  }
  return true;
}

// The characters come first, so that a line that comes in pieces (request_line_may_go_on) and one
// that comes at once are refused for the same reason.
const Refusal* check_request_line(std::string_view line) {
  std::string_view text = line.substr(0, line.size() - 1);
  const bool crlf = ends_in_crlf(line);
  if (crlf) text.remove_suffix(1);
  if (!is_printable(text)) return &kBadRequestLine;
  if (!crlf) return &kBareLineFeed;

  const size_t method_size = token_length(text);
  if (method_size == 0 || method_size == text.size() || text[method_size] != ' ') {
    return &kBadRequestLine;
  }
  text.remove_prefix(method_size + 1);
  const size_t target_size = text.find(' ');
  if (target_size == std::string_view::npos || target_size == 0) return &kBadRequestLine;
  if (text.substr(0, target_size).find('#') != std::string_view::npos) return &kBadRequestLine;
  return check_version(text.substr(target_size + 1));
}

const Refusal* check_field_line(std::string_view line) {
  if (!ends_in_crlf(line)) return &kBareLineFeed;
  if (line[0] == ' ' || line[0] == '\t') return &kFoldedHeader;
  const std::string_view text = line.substr(0, line.size() - 2);
  const size_t name_size = token_length(text);
  if (name_size == 0 || name_size == text.size() || text[name_size] != ':') return &kBadHeaderName;
  return is_field_value(text.substr(name_size + 1)) ? nullptr : &kBadHeaderValue;
}

const Refusal* check_chunk_size_line(std::string_view line, size_t* extension_bytes) {
  if (!ends_in_crlf(line)) return &kBadChunk;
  const std::string_view text = line.substr(0, line.size() - 2);
  size_t digits = 0;
  while (digits < text.size() && is_hex_digit(text[digits])) digits++;
  if (digits == 0 || digits > kChunkSizeDigitsMax) return &kBadChunk;
  const std::string_view extensions = text.substr(digits);
  if (!is_field_value(extensions) || !is_chunk_extensions(extensions)) return &kBadChunk;
  *extension_bytes += extensions.size();
  return nullptr;
}

}  // namespace postback::http
