// What several fuzz targets share: taking an input apart, and what a message to a person must be.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/utf8.h"

namespace postback::fuzz {

// Between the parts of an input; no text of ours has it, and a part may hold any other byte.
constexpr char kPartEnd = '\x1e';

inline std::string_view text_of(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// Takes the bytes up to `end` (or all) off the front of *rest, and `end` itself.
inline std::string_view take_part(std::string_view* rest, char end = kPartEnd) {
  const size_t size = rest->find(end);
  const std::string_view part = rest->substr(0, size);
  rest->remove_prefix(size == std::string_view::npos ? rest->size() : size + 1);
  return part;
}

inline std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) lines.emplace_back(take_part(&text, '\n'));
  return lines;
}

// One line that may go to a terminal and into a log, of bounded size whatever it quotes.
inline void check_message(std::string_view message) {
  CHECK(!message.empty() && message.size() <= 4096);
  CHECK(base::is_valid_utf8(message));
  for (const char c : message) CHECK(static_cast<unsigned char>(c) >= 0x20 && c != 0x7F);
}

}  // namespace postback::fuzz
