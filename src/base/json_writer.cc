#include "base/json_writer.h"

#include <array>
#include <cstring>

#include "base/digits.h"
#include "base/utf8.h"

namespace postback::base {
namespace {

// How many bytes a byte of text becomes in a JSON string, at most. 1: it is copied as it is
// (printable ASCII without quote and backslash, and DEL). Bytes above 0x7F may be replaced by
// U+FFFD, which has three bytes.
constexpr std::array<uint8_t, 256> kJsonBytesMax = [] {
  std::array<uint8_t, 256> bytes{};
  for (size_t c = 0; c < 256; ++c) bytes[c] = c < 0x20 ? 6 : c < 0x80 ? 1 : 3;
  bytes['"'] = bytes['\\'] = 2;
  return bytes;
}();

bool is_plain(char c) {
  return kJsonBytesMax[static_cast<unsigned char>(c)] == 1;
}

constexpr uint64_t kOnes = 0x0101010101010101;
constexpr uint64_t kHighBits = 0x8080808080808080;

// Whether all eight bytes are plain. A control byte, or one that is equal to the quote or to the
// backslash, sets its highest bit in a difference; bytes above 0x7F have theirs set already. Bytes
// behind one that is not plain may be taken for not plain too.
bool all_plain(uint64_t word) {
  const uint64_t control = word - kOnes * 0x20;
  const uint64_t quote = (word ^ kOnes * '"') - kOnes;
  const uint64_t backslash = (word ^ kOnes * '\\') - kOnes;
  return ((word | control | quote | backslash) & kHighBits) == 0;
}

template <typename Word>
Word load(const char* from) {
  Word word;
  std::memcpy(&word, from, sizeof word);
  return word;
}

template <typename Word>
void store(char* to, Word word) {
  std::memcpy(to, &word, sizeof word);
}

// Copies plain text whole and answers true; otherwise what it has written does not count. Short
// text is copied as two words that overlap.
bool put_if_plain(char* to, std::string_view text) {
  const char* from = text.data();
  size_t size = text.size();
  if (size >= 8) {
    const uint64_t last = load<uint64_t>(from + size - 8);
    char* const to_last = to + size - 8;
    for (; size > 8; size -= 8, from += 8, to += 8) {
      const auto word = load<uint64_t>(from);
      if (!all_plain(word)) return false;
      store(to, word);
    }
    store(to_last, last);
    return all_plain(last);
  }
  if (size >= 4) {
    const auto first = load<uint32_t>(from);
    const auto last = load<uint32_t>(from + size - 4);
    store(to, first);
    store(to + size - 4, last);
    return all_plain(uint64_t{first} << 32 | last);
  }
  for (size_t i = 0; i < size; ++i) {
    if (!is_plain(from[i])) return false;
    to[i] = from[i];
  }
  return true;
}

char* put_escaped_ascii(char* to, unsigned char c) {
  switch (c) {
    case '"':
      return put(to, "\\\"");
    case '\\':
      return put(to, "\\\\");
    case '\n':
      return put(to, "\\n");
    case '\r':
      return put(to, "\\r");
    case '\t':
      return put(to, "\\t");
    case '\0':
      return put(to, "\xEF\xBF\xBD");
    default:
      break;
  }
  constexpr char kHex[] = "0123456789abcdef";
  const char escape[] = {'\\', 'u', '0', '0', kHex[c >> 4], kHex[c & 15]};
  return put(to, {escape, sizeof escape});
}

// Apart, so that the usual path stays short.
[[gnu::noinline]] char* put_escaped(char* to, std::string_view text) {
  size_t position = 0;
  while (position < text.size()) {
    const char c = text[position];
    if (static_cast<unsigned char>(c) < 0x80) {
      to = is_plain(c) ? put(to, c) : put_escaped_ascii(to, static_cast<unsigned char>(c));
      ++position;
      continue;
    }
    size_t invalid_size = 0;
    const size_t size = utf8_sequence_size(text.substr(position), &invalid_size);
    to = put(to, size == 0 ? std::string_view("\xEF\xBF\xBD") : text.substr(position, size));
    position += size == 0 ? invalid_size : size;
  }
  return to;
}

}  // namespace

char* put_json_string(char* to, std::string_view text) {
  to = put(to, '"');
  to = put_if_plain(to, text) ? to + text.size() : put_escaped(to, text);
  return put(to, '"');
}

void append_json_string(std::string* out, std::string_view text) {
  size_t bytes_max = 2;
  for (const char c : text) bytes_max += kJsonBytesMax[static_cast<unsigned char>(c)];
  append_with(out, bytes_max, [text](char* to) { return put_json_string(to, text); });
}

// Pairs of digits from the end, and then one copy.
char* put_integer(char* to, int64_t value) {
  char digits[kIntegerBytesMax];
  char* at = digits + sizeof digits;
  auto rest = static_cast<uint64_t>(value);
  if (value < 0) {
    *to++ = '-';
    rest = 0 - rest;
  }
  for (; rest >= 100; rest /= 100) put_digit_pair(at -= 2, rest % 100);
  if (rest >= 10) {
    put_digit_pair(at -= 2, rest);
  } else {
    *--at = static_cast<char>('0' + rest);
  }
  return put(to, {at, static_cast<size_t>(digits + sizeof digits - at)});
}

void append_integer(std::string* out, int64_t value) {
  char digits[kIntegerBytesMax];
  out->append(digits, static_cast<size_t>(put_integer(digits, value) - digits));
}

}  // namespace postback::base
