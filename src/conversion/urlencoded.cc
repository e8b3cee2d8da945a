#include "conversion/urlencoded.h"

#include "conversion/ascii.h"

namespace postback::conversion {
void UrlDecoder::parse(std::string_view text, Parameter::Source source, ParameterList* list) {
  if (decoded_.size() < text.size()) decoded_.resize(text.size());
  decoded_count_ = 0;
  while (!text.empty()) {
    const size_t end = text.find('&');
    const std::string_view piece = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (piece.empty()) continue;
    const size_t equals = piece.find('=');
    const std::string_view name = piece.substr(0, equals);
    const std::string_view value =
        equals == std::string_view::npos ? std::string_view() : piece.substr(equals + 1);
    if (!list->add({.name = decode(name), .value = decode(value), .source = source})) return;
  }
}

std::string_view UrlDecoder::decode(std::string_view component) {
  // Most names and values have nothing to decode and are borrowed from the request.
  size_t position = 0;
  while (position < component.size() && component[position] != '%' && component[position] != '+') {
    ++position;
  }
  if (position == component.size()) return component;

  char* const start = decoded_.data() + decoded_count_;
  char* out = start + component.copy(start, position);
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
