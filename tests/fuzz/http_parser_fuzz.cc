// Fuzz target of src/http's parser and its guard: any bytes end in requests or a refusal, the
// outcome does not depend on how the bytes are split over inputs nor on the heads that came before,
// and what a request holds can go on to others. The first byte of the data chooses limits and
// split.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "../unit/http/outcomes.h"
#include "base/check.h"

namespace {

// Small limits, so that short data reaches them.
constexpr postback::http::Limits kSmallLimits = {
    .request_line_bytes_max = 64,
    .header_bytes_max = 64,
    .head_bytes_max = 256,
    .header_count_max = 8,
    .body_bytes_max = 64,
    .chunk_extension_bytes_max = 16,
};

void check(const postback::http::Outcomes& whole, const postback::http::Outcomes& split) {
  if (whole == split) return;
  for (const std::string& outcome : whole) std::fprintf(stderr, "whole: %s\n", outcome.c_str());
  for (const std::string& outcome : split) std::fprintf(stderr, "split: %s\n", outcome.c_str());
  std::abort();
}

bool is_printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7F; });
}

void check_request(const postback::http::Request& request, const postback::http::Limits& limits) {
  CHECK(!request.target.empty() && is_printable(request.target));
  CHECK(request.target.size() <= limits.request_line_bytes_max);
  CHECK(request.version_minor == 1 || request.version_minor == 0);
  CHECK(request.version_minor == 0 || !request.host.empty());
  CHECK(request.headers.size() <= limits.header_count_max);
  for (const postback::Header& header : request.headers) {
    CHECK(!header.name.empty() && is_printable(header.name));
    CHECK(header.name.find_first_of("()<>@,;:\\\"/[]?={}") == std::string_view::npos);
    for (const char c : header.value) CHECK(c != '\r' && c != '\n' && c != '\0');
    CHECK(header.name.size() + header.value.size() <= limits.header_bytes_max);
  }
  CHECK(request.body.size() <= limits.body_bytes_max);
}

void check_requests(std::string_view bytes, const postback::http::Limits& limits) {
  using postback::http::Parser;
  Parser parser(limits);
  while (!bytes.empty()) {
    const Parser::Status status = parser.feed(&bytes);
    // All limits together, and what buffers grow by.
    CHECK(parser.memory_bytes() <=
          2 * (limits.request_line_bytes_max + limits.head_bytes_max + limits.body_bytes_max) +
              64 * 1024);
    if (status == Parser::Status::refused) {
      CHECK(parser.refusal().status >= 400 && parser.refusal().status <= 505);
      return;
    }
    if (status == Parser::Status::request) check_request(parser.request(), limits);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace postback::http;
  if (size == 0) return 0;
  const uint8_t choice = data[0];
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const Limits limits = (choice & 1) != 0 ? kSmallLimits : Limits{};
  check_requests(bytes, limits);
  const Outcomes whole = outcomes_whole(bytes, limits);
  // What was remembered of the inputs before changes nothing either.
  static KnownHeads small_known(kSmallLimits);
  static KnownHeads usual_known;
  KnownHeads* const known = (choice & 1) != 0 ? &small_known : &usual_known;
  check(whole, outcomes_known(bytes, known));
  check(whole, outcomes_known(bytes, known));
  check(whole, outcomes_by_byte(bytes, limits));
  check(whole, outcomes_random(bytes, choice, limits));
  if (bytes.empty()) return 0;
  // In two pieces: a head that is complete, and a body that comes later.
  Parser parser(limits);
  size_t piece = bytes.size() * choice / 256;
  check(whole, outcomes(&parser, bytes, [&] { return std::exchange(piece, bytes.size()); }));
  return 0;
}
