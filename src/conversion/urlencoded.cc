#include "conversion/urlencoded.h"

#include <algorithm>
#include <bit>

#include "base/byte_window.h"
#include "conversion/ascii.h"

namespace postback::conversion {

// Each byte is looked at once, in windows; most names and values have nothing to decode.
void UrlDecoder::parse(std::string_view text, Parameter::Source source, ParameterList* list) {
  using base::ByteWindow;
  if (decoded_.size() < text.size()) decoded_.resize(text.size());
  decoded_count_ = 0;
  Piece piece;
  for (size_t start = 0; start < text.size(); start += ByteWindow::kBytes) {
    const size_t size = std::min(ByteWindow::kBytes, text.size() - start);
    const ByteWindow window(text.data() + start, size);
    uint32_t special = (window.equal('%', '+') | window.nul_or_not_ascii()) & ((1u << size) - 1);
    for (uint32_t marks = window.equal('&', '='); marks != 0; marks &= marks - 1) {
      const auto index = static_cast<size_t>(std::countr_zero(marks));
      const size_t position = start + index;
      if (text[position] == '=') {
        if (piece.equals == std::string_view::npos) piece.equals = position;
        continue;
      }
      const uint32_t before = (1u << index) - 1;
      if ((special & before) != 0) piece.is_plain = false;
      special &= ~before;
      if (!add(text.substr(0, position), piece, source, list)) return;
      piece = {.start = position + 1};
    }
    if (special != 0) piece.is_plain = false;
  }
  add(text, piece, source, list);
}

// `text`: up to the end of the piece. False when the list is full.
bool UrlDecoder::add(std::string_view text, const Piece& piece, Parameter::Source source,
                     ParameterList* list) {
  if (piece.start == text.size()) return true;  // Empty.
  const size_t name_end = std::min(piece.equals, text.size());
  const size_t value_start = std::min(name_end + 1, text.size());
  std::string_view name = text.substr(piece.start, name_end - piece.start);
  std::string_view value = text.substr(value_start);
  if (!piece.is_plain) {
    name = decode(name);
    value = decode(value);
  }
  return list->add({.name = name, .value = value, .source = source, .is_ascii = piece.is_plain});
}

std::string_view UrlDecoder::decode(std::string_view component) {
  size_t position = 0;
  char* const start = decoded_.data() + decoded_count_;
  char* out = start;
  while (position < component.size()) {
    const char c = component[position];
    if (c == '%' && component.size() - position > 2) {
      const int high = hex_digit(component[position + 1]);
      const int low = hex_digit(component[position + 2]);
      if (high >= 0 && low >= 0) {
        *out++ = static_cast<char>(high * 16 + low);
        position += 3;
        continue;
      }
    }
    *out++ = c == '+' ? ' ' : c;
    ++position;
  }
  decoded_count_ += static_cast<size_t>(out - start);
  return {start, static_cast<size_t>(out - start)};
}

}  // namespace postback::conversion
