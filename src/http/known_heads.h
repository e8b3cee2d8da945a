// Heads that came before. A partner's server sends the same head again and again, but for the
// query: such a head is recognised by its bytes, and what the parser made of it then is taken
// instead of being worked out again.
//
// A head is remembered when its request has no body and its target is in origin-form with a query.
// What counts in it are all its bytes but the query's: start, up to the target's first '?', and
// rest, from the space behind the target. llhttp has seen just these, and our own rules look at
// nothing else; of a query they want to know only that it is visible ASCII without '#', and that
// the request line is not too long. So a head with the same start and rest, and such a query,
// makes the same request.
//
// Bounded: kSets sets of two heads of at most kHeadBytesMax bytes. The set follows from the start;
// in it a new head takes the place of the one that came longer ago. No allocation in steady state.
//
// Owner: whoever owns the parsers of a core, which all use it. Thread: the core's.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "http/parser.h"
#include "http/request.h"

namespace postback::http {

class KnownHeads {
 public:
  explicit KnownHeads(const Limits& limits = {});
  KnownHeads(const KnownHeads&) = delete;
  KnownHeads& operator=(const KnownHeads&) = delete;

  // Those under which every head here was read.
  const Limits& limits() const { return limits_; }

  // Takes the head that *input begins with when it is known, complete and within the limits; fills
  // all of *request. Otherwise changes nothing. The views borrow from *input and from here, until
  // the next remember().
  bool take(std::string_view* input, Request* request);

  // `head`: complete and accepted; `request`: what it says, with views into it, without body and
  // not expecting to be told to go on.
  void remember(std::string_view head, const Request& request);

 private:
  static constexpr size_t kSets = 64;
  static constexpr size_t kWays = 2;
  static constexpr size_t kStartBytesMin = 8;
  static constexpr size_t kStartBytesMax = 512;
  static constexpr size_t kHeadBytesMax = 1024;  // Without the query.

  struct Head {
    std::string bytes;  // Start and rest.
    size_t start_size = 0;
    size_t line_end = 0;          // Position in rest of the request line's LF.
    std::vector<Header> headers;  // Views into `bytes`, like those of the request.
    Request request;              // But for target, path and query.

    std::string_view start() const { return std::string_view(bytes).substr(0, start_size); }
    std::string_view rest() const { return std::string_view(bytes).substr(start_size); }
  };
  struct Set {
    std::array<Head, kWays> heads;
    size_t recent = 0;  // The one that came last.
  };

  Set& set_of(std::string_view start);
  void fill(Head* to, std::string_view head, size_t mark, const Request& request);

  const Limits limits_;
  std::vector<Set> sets_;
};

}  // namespace postback::http
