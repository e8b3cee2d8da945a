// Fuzz target of conversion/urlencoded: agrees with a slow and obvious decoder.
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "conversion/ascii.h"
#include "conversion/urlencoded.h"

namespace {

using postback::conversion::hex_digit;
using postback::conversion::kParametersMax;

std::string decoded_slowly(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 &&
        hex_digit(text[i + 2]) >= 0) {
      out += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
      i += 2;
    } else {
      out += text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

std::vector<std::pair<std::string, std::string>> parsed_slowly(const std::string& text) {
  std::vector<std::pair<std::string, std::string>> out;
  std::string piece;
  for (size_t i = 0; i <= text.size(); ++i) {
    if (i < text.size() && text[i] != '&') {
      piece += text[i];
      continue;
    }
    const size_t equals = std::min(piece.find('='), piece.size());
    const std::string value = equals < piece.size() ? piece.substr(equals + 1) : "";
    if (!piece.empty()) {
      out.emplace_back(decoded_slowly(piece.substr(0, equals)), decoded_slowly(value));
    }
    piece.clear();
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static postback::conversion::UrlDecoder decoder;
  static postback::conversion::ParameterList list;
  const std::string text(reinterpret_cast<const char*>(data), size);
  list.clear();
  decoder.parse(text, postback::Parameter::Source::query, &list);
  const auto expected = parsed_slowly(text);
  const auto& parameters = list.parameters();
  CHECK(parameters.size() == std::min(expected.size(), kParametersMax));
  CHECK(expected.size() <= kParametersMax || list.fault().found());
  for (size_t i = 0; i < parameters.size(); ++i) {
    CHECK(parameters[i].name == expected[i].first);
    CHECK(parameters[i].value == expected[i].second);
  }
  return 0;
}
