#include "http/guard.h"

#include <cstdint>
#include <cstring>

#include "http/characters.h"
#include "http/refusals.h"

namespace postback::http {
namespace {

constexpr uint64_t kOnes = 0x0101010101010101;
constexpr uint64_t kHighs = 0x8080808080808080;

// Eight bytes at once: non-zero when any byte is below `bound` (1 to 128) or is DEL. Never misses
// one; a byte behind a hit may be reported wrongly, so a hit has to be looked at byte by byte.
// (Anderson, "Bit Twiddling Hacks": hasless, haszero.)
constexpr uint64_t below_or_del(uint64_t word, uint8_t bound) {
  const uint64_t below = (word - kOnes * bound) & ~word & kHighs;
  const uint64_t del = word ^ (kOnes * 0x7f);
  return below | ((del - kOnes) & ~del & kHighs);
}

// SP and the visible characters of ASCII.
bool is_printable(std::string_view text) {
  size_t i = 0;
  for (; i + 8 <= text.size(); i += 8) {
    uint64_t word;
    std::memcpy(&word, text.data() + i, 8);
    if (below_or_del(word, 0x20) != 0 || (word & kHighs) != 0) return false;
  }
  for (; i < text.size(); i++) {
    if (text[i] < 0x20 || text[i] > 0x7e) return false;
  }
  return true;
}

bool is_field_char(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
}

// field-value with white space around it: HTAB, SP, visible characters and obs-text (0x80 and up).
bool is_field_value(std::string_view text) {
  size_t i = 0;
  while (i < text.size()) {
    const size_t step = text.size() - i < 8 ? text.size() - i : 8;
    if (step == 8) {
      uint64_t word;
      std::memcpy(&word, text.data() + i, 8);
      if (below_or_del(word, 0x20) == 0) {
        i += 8;
        continue;
      }
    }
    for (size_t end = i + step; i < end; i++) {
      if (!is_field_char(text[i])) return false;
    }
  }
  return true;
}

bool ends_in_crlf(std::string_view line) {
  return line.size() >= 2 && line[line.size() - 2] == '\r' && line[line.size() - 1] == '\n';
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
  if (!extensions.empty() && extensions[0] != ';') return &kBadChunk;
  if (!is_field_value(extensions)) return &kBadChunk;
  *extension_bytes += extensions.size();
  return nullptr;
}

}  // namespace postback::http
