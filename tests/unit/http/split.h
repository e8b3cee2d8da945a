// Runs every example whole, byte by byte, in random pieces and twice with heads that are
// remembered, and wants the same outcome of all.
#pragma once

#include <gtest/gtest.h>

#include <random>

#include "outcomes.h"

namespace postback::http {

inline Outcomes outcomes_of(std::string_view bytes, const Limits& limits = {}) {
  const Outcomes whole = outcomes_whole(bytes, limits);
  EXPECT_EQ(whole, outcomes_by_byte(bytes, limits));
  KnownHeads known(limits);
  EXPECT_EQ(whole, outcomes_known(bytes, &known));
  EXPECT_EQ(whole, outcomes_known(bytes, &known));
  for (int i = 0; i < 5; i++) {
    const uint64_t seed = std::random_device()();
    EXPECT_EQ(whole, outcomes_random(bytes, seed, limits)) << "seed " << seed;
  }
  return whole;
}

// The refusal's status that these bytes end in, or 0 when they end otherwise.
inline int refused_status(std::string_view bytes, const Limits& limits = {}) {
  const Outcomes all = outcomes_of(bytes, limits);
  if (all.empty() || all.back().substr(0, 8) != "refused ") return 0;
  return std::stoi(all.back().substr(8, 3));
}

// How many requests were parsed.
inline size_t request_count(std::string_view bytes, const Limits& limits = {}) {
  size_t count = 0;
  for (const std::string& outcome : outcomes_of(bytes, limits)) {
    if (outcome.substr(0, 8) == "request ") count++;
  }
  return count;
}

// Feeds once, whole.
class Fed {
 public:
  explicit Fed(std::string_view bytes, const Limits& limits = {})
      : parser(limits), bytes_(bytes), rest(bytes_) {
    status = parser.feed(&rest);
  }
  const Request& request() const { return parser.request(); }
  const Refusal& refusal() const { return parser.refusal(); }

  Parser parser;

 private:
  const std::string bytes_;

 public:
  std::string_view rest;
  Parser::Status status;
};

inline std::string repeated(std::string_view text, size_t count) {
  std::string result;
  for (size_t i = 0; i < count; i++) result += text;
  return result;
}

}  // namespace postback::http
