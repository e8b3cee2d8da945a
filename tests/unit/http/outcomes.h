// What a parser makes of a stream of bytes, as comparable text: one line per request or refusal, so
// that a test can say that the outcome does not depend on how the bytes are split.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "http/known_heads.h"
#include "http/parser.h"

namespace postback::http {

inline std::string quoted(std::string_view text) {
  return "[" + std::string(text) + "]";
}

inline std::string describe(const Request& request) {
  std::string text =
      "request " + quoted(request.method_name) + std::to_string(static_cast<int>(request.method)) +
      quoted(request.target) + quoted(request.path) + quoted(request.query) + quoted(request.host) +
      quoted(request.content_type) + quoted(request.content_encoding) + " 1." +
      std::to_string(request.version_minor) + (request.keep_alive ? " keep" : " close");
  if (request.headers.empty() != (request.header_section.size() <= 2)) text += " bad section";
  for (const Header& header : request.headers) text += quoted(header.name) + quoted(header.value);
  return text + " body" + quoted(request.body);
}

inline std::string describe(const Refusal& refusal) {
  return "refused " + std::to_string(refusal.status) + " " + std::string(refusal.code) + " " +
         std::string(refusal.message);
}

using Outcomes = std::vector<std::string>;

// Feeds the bytes in pieces of next_size() bytes. Each piece lies in memory of its own, which is
// gone before the next piece comes, so that AddressSanitizer sees a view that outlives it.
// A request for 100 Continue depends on the split by its nature, so it is not part of the outcome.
inline Outcomes outcomes(Parser* parser, std::string_view bytes,
                         const std::function<size_t()>& next_size) {
  Outcomes result;
  while (!bytes.empty()) {
    const size_t size = std::min(std::max<size_t>(next_size(), 1), bytes.size());
    const auto piece = std::make_unique<char[]>(size);
    std::memcpy(piece.get(), bytes.data(), size);
    bytes.remove_prefix(size);
    std::string_view input(piece.get(), size);
    while (!input.empty()) {
      const Parser::Status status = parser->feed(&input);
      if (status == Parser::Status::request) result.push_back(describe(parser->request()));
      if (status == Parser::Status::refused) {
        result.push_back(describe(parser->refusal()));
        return result;
      }
    }
  }
  result.push_back(parser->idle() ? "idle" : parser->reading_body() ? "in a body" : "in a head");
  return result;
}

inline Outcomes outcomes_whole(std::string_view bytes, const Limits& limits = {}) {
  Parser parser(limits);
  return outcomes(&parser, bytes, [&] { return bytes.size(); });
}

// By a parser that knows heads from before, and from these bytes themselves.
inline Outcomes outcomes_known(std::string_view bytes, KnownHeads* known) {
  Parser parser(known);
  return outcomes(&parser, bytes, [&] { return bytes.size(); });
}

inline Outcomes outcomes_by_byte(std::string_view bytes, const Limits& limits = {}) {
  Parser parser(limits);
  return outcomes(&parser, bytes, [] { return 1; });
}

inline Outcomes outcomes_random(std::string_view bytes, uint64_t seed, const Limits& limits = {}) {
  Parser parser(limits);
  std::mt19937_64 random(seed);
  // Short pieces and long ones, at every place.
  return outcomes(&parser, bytes, [&] { return 1 + random() % (1 + random() % 64); });
}

}  // namespace postback::http
