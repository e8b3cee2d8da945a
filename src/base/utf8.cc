#include "base/utf8.h"

namespace postback::base {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

unsigned byte_at(std::string_view text, size_t index) {
  return static_cast<unsigned char>(text[index]);
}

}  // namespace

size_t utf8_sequence_size(std::string_view text, size_t* invalid_size) {
  // RFC 3629 section 4: the second byte's range depends on the first, all others are 80 to BF.
  const unsigned first = byte_at(text, 0);
  *invalid_size = 1;
  if (first < 0x80) return 1;
  size_t size = 0;
  unsigned low = 0x80;
  unsigned high = 0xBF;
  if (first >= 0xC2 && first <= 0xDF) {
    size = 2;
  } else if (first >= 0xE0 && first <= 0xEF) {
    size = 3;
    if (first == 0xE0) low = 0xA0;
    if (first == 0xED) high = 0x9F;  // Surrogates.
  } else if (first >= 0xF0 && first <= 0xF4) {
    size = 4;
    if (first == 0xF0) low = 0x90;
    if (first == 0xF4) high = 0x8F;
  } else {
    return 0;
  }
  for (size_t i = 1; i < size; ++i) {
    if (i == text.size() || byte_at(text, i) < low || byte_at(text, i) > high) {
      *invalid_size = i;
      return 0;
    }
    low = 0x80;
    high = 0xBF;
  }
  return size;
}

uint32_t utf8_code_point(std::string_view sequence) {
  // The first byte of a sequence of n bytes has n leading ones and a zero before its bits.
  const uint32_t first = byte_at(sequence, 0);
  uint32_t code = sequence.size() == 1 ? first : first & (0x7Fu >> sequence.size());
  for (size_t i = 1; i < sequence.size(); ++i) code = code << 6 | (byte_at(sequence, i) & 0x3Fu);
  return code;
}

bool is_valid_utf8(std::string_view text) {
  size_t position = 0;
  while (position < text.size()) {
    if (byte_at(text, position) < 0x80) {
      ++position;
      continue;
    }
    size_t invalid_size = 0;
    const size_t size = utf8_sequence_size(text.substr(position), &invalid_size);
    if (size == 0) return false;
    position += size;
  }
  return true;
}

bool append_repaired_utf8(std::string* out, std::string_view text) {
  bool repaired = false;
  size_t position = 0;
  while (position < text.size()) {
    size_t invalid_size = 0;
    const size_t size = utf8_sequence_size(text.substr(position), &invalid_size);
    if (size == 0 || text[position] == '\0') {
      out->append(kReplacement);
      position += size == 0 ? invalid_size : 1;
      repaired = true;
    } else {
      out->append(text.substr(position, size));
      position += size;
    }
  }
  return repaired;
}

size_t utf8_character_count(std::string_view text) {
  size_t count = 0;
  for (const char c : text) count += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return count;
}

}  // namespace postback::base
