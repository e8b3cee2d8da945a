#include "base/json_writer.h"

#include <array>
#include <charconv>

#include "base/utf8.h"

namespace postback::base {
namespace {

// Bytes that are copied as they are: printable ASCII without quote and backslash, and DEL.
constexpr std::array<bool, 256> make_plain_table() {
  std::array<bool, 256> plain{};
  for (int c = 0x20; c < 0x80; ++c) plain[c] = c != '"' && c != '\\';
  return plain;
}
constexpr std::array<bool, 256> kPlain = make_plain_table();

void append_escaped_ascii(std::string* out, unsigned char c) {
  switch (c) {
    case '"':
      out->append("\\\"");
      return;
    case '\\':
      out->append("\\\\");
      return;
    case '\n':
      out->append("\\n");
      return;
    case '\r':
      out->append("\\r");
      return;
    case '\t':
      out->append("\\t");
      return;
    case '\0':
      out->append("\xEF\xBF\xBD");
      return;
    default:
      break;
  }
  constexpr char kHex[] = "0123456789abcdef";
  const char escape[] = {'\\', 'u', '0', '0', kHex[c >> 4], kHex[c & 15]};
  out->append(escape, sizeof escape);
}

}  // namespace

void append_json_string(std::string* out, std::string_view text) {
  out->push_back('"');
  size_t position = 0;
  while (position < text.size()) {
    size_t plain_end = position;
    while (plain_end < text.size() && kPlain[static_cast<unsigned char>(text[plain_end])]) {
      ++plain_end;
    }
    out->append(text.data() + position, plain_end - position);
    position = plain_end;
    if (position == text.size()) break;
    const auto c = static_cast<unsigned char>(text[position]);
    if (c < 0x80) {
      append_escaped_ascii(out, c);
      ++position;
      continue;
    }
    size_t invalid_size = 0;
    const size_t size = utf8_sequence_size(text.substr(position), &invalid_size);
    if (size == 0) {
      out->append("\xEF\xBF\xBD");
      position += invalid_size;
    } else {
      out->append(text.data() + position, size);
      position += size;
    }
  }
  out->push_back('"');
}

void append_integer(std::string* out, int64_t value) {
  char digits[24];
  const auto result = std::to_chars(digits, digits + sizeof digits, value);
  out->append(digits, static_cast<size_t>(result.ptr - digits));
}

}  // namespace postback::base
