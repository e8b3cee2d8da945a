#include "base/printable.h"

#include <cstdint>
#include <optional>

#include "base/utf8.h"

namespace postback::base {
namespace {

constexpr char kHex[] = "0123456789abcdef";

void append_escaped_bytes(std::string* out, std::string_view bytes) {
  for (const char byte : bytes) {
    const auto c = static_cast<unsigned char>(byte);
    switch (c) {
      case '\n':
        out->append("\\n");
        break;
      case '\r':
        out->append("\\r");
        break;
      case '\t':
        out->append("\\t");
        break;
      default:
        out->append({'\\', 'x', kHex[c >> 4], kHex[c & 15]});
    }
  }
}

bool is_control(uint32_t code) {
  return code < 0x20 || (code >= 0x7F && code < 0xA0);
}

// Unicode's bidirectional controls and the two separators that break lines.
bool is_reordering(uint32_t code) {
  return code == 0x061C || code == 0x200E || code == 0x200F || (code >= 0x2028 && code <= 0x202E) ||
         (code >= 0x2066 && code <= 0x2069) || code == 0xFEFF;
}

void append_code_point(std::string* out, uint32_t code) {
  out->append("\\u{");
  for (int shift = 12; shift >= 0; shift -= 4) out->push_back(kHex[code >> shift & 15]);
  out->push_back('}');
}

// How much of the text's front is plain ASCII, nearly always all.
size_t plain_size(std::string_view text) {
  size_t size = 0;
  while (size < text.size() && text[size] >= 0x20 && text[size] < 0x7F) ++size;
  return size;
}

// Takes a sequence of valid UTF-8, or what is invalid, off the front; *code is its code point, and
// absent when it is invalid.
std::string_view take_sequence(std::string_view* text, std::optional<uint32_t>* code) {
  size_t invalid_size = 0;
  const size_t size = utf8_sequence_size(*text, &invalid_size);
  const std::string_view part = text->substr(0, size == 0 ? invalid_size : size);
  text->remove_prefix(part.size());
  *code = size == 0 ? std::nullopt : std::optional(utf8_code_point(part));
  return part;
}

}  // namespace

void append_printable(std::string* out, std::string_view text) {
  while (true) {
    const size_t plain = plain_size(text);
    out->append(text.substr(0, plain));
    text.remove_prefix(plain);
    if (text.empty()) return;
    std::optional<uint32_t> code;
    const std::string_view part = take_sequence(&text, &code);
    if (!code || is_control(*code)) {
      append_escaped_bytes(out, part);
    } else if (is_reordering(*code)) {
      append_code_point(out, *code);
    } else {
      out->append(part);
    }
  }
}

void append_printable_output(std::string* out, std::string_view text) {
  while (true) {
    const size_t plain = plain_size(text);
    out->append(text.substr(0, plain));
    text.remove_prefix(plain);
    if (text.empty()) return;
    std::optional<uint32_t> code;
    const std::string_view part = take_sequence(&text, &code);
    if (!code || (*code < 0x20 && *code != '\n' && *code != '\t')) {
      append_escaped_bytes(out, part);
    } else if (*code >= 0x7F && (is_control(*code) || is_reordering(*code))) {
      out->append("\\u");
      for (int shift = 12; shift >= 0; shift -= 4) out->push_back(kHex[*code >> shift & 15]);
    } else {
      out->append(part);
    }
  }
}

std::string printable(std::string_view text, size_t bytes_max) {
  std::string out;
  const bool cut = text.size() > bytes_max;
  if (cut) {
    // Not inside a sequence: its rest would show as invalid bytes.
    while (bytes_max > 0 && (static_cast<unsigned char>(text[bytes_max]) & 0xC0) == 0x80) {
      --bytes_max;
    }
    text = text.substr(0, bytes_max);
  }
  append_printable(&out, text);
  if (cut) out += "…";
  return out;
}

}  // namespace postback::base
