#include "http/header_rules.h"

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "http/characters.h"
#include "http/refusals.h"
#include "http/target.h"

namespace postback::http {
namespace {

struct Seen {
  bool host = false;
  bool content_length = false;
  bool transfer_encoding = false;
  bool close = false;
  bool keep_alive = false;
};

struct Rules {
  const size_t body_bytes_max;
  Request* const request;
  Framing* const framing;
  Seen seen;
};

const Refusal* apply_host(std::string_view value, Rules* rules) {
  if (rules->seen.host) return &kRepeatedHost;
  rules->seen.host = true;
  if (!is_host(value)) return &kBadHost;
  rules->request->host = value;
  return nullptr;
}

// RFC 9112 section 6.3: a list of equal lengths could be accepted, but nobody honest sends one.
const Refusal* apply_content_length(std::string_view value, Rules* rules) {
  constexpr size_t kDigitsMax = 19;  // As many as always fit into 64 bits.
  if (rules->seen.content_length || value.empty() || value.size() > kDigitsMax) return &kBadLength;
  rules->seen.content_length = true;
  uint64_t length = 0;
  for (const char c : value) {
    if (!is_digit(c)) return &kBadLength;
    length = length * 10 + static_cast<uint64_t>(c - '0');
  }
  if (length > rules->body_bytes_max) return &kBodyTooLarge;
  rules->framing->content_length = static_cast<size_t>(length);
  return nullptr;
}

const Refusal* apply_transfer_encoding(std::string_view value, Rules* rules) {
  if (rules->seen.transfer_encoding || rules->request->version_minor == 0) {
    return &kBadTransferEncoding;
  }
  rules->seen.transfer_encoding = true;
  rules->framing->chunked = true;
  if (equal_ignoring_case(value, "chunked")) return nullptr;
  const bool one_coding = token_length(value) == value.size() && !value.empty();
  return one_coding ? &kUnknownTransferCoding : &kBadTransferEncoding;
}

// RFC 9110 section 10.1.1. HTTP/1.0 has no 100 answer, so the expectation is ignored there.
const Refusal* apply_expect(std::string_view value, Rules* rules) {
  if (!equal_ignoring_case(value, "100-continue")) return &kUnsupportedExpectation;
  rules->framing->expect_continue = rules->request->version_minor == 1;
  return nullptr;
}

// A comma-separated list of tokens (RFC 9110 section 7.6.1); unknown ones are options of others.
void apply_connection(std::string_view value, Seen* seen) {
  while (!value.empty()) {
    const size_t comma = value.find(',');
    const std::string_view option = trim(value.substr(0, comma));
    if (equal_ignoring_case(option, "close")) seen->close = true;
    if (equal_ignoring_case(option, "keep-alive")) seen->keep_alive = true;
    if (comma == std::string_view::npos) return;
    value.remove_prefix(comma + 1);
  }
}

// A list (RFC 9110 section 8.4) of nothing but "identity", in any case: the body is as it is.
bool is_identity(std::string_view value) {
  while (!value.empty()) {
    const size_t comma = std::min(value.find(','), value.size());
    const std::string_view coding = trim(value.substr(0, comma));
    if (!coding.empty() && !equal_ignoring_case(coding, "identity")) return false;
    value.remove_prefix(std::min(comma + 1, value.size()));
  }
  return true;
}

// The length of the name tells the few names apart that matter, so most headers cost one switch.
const Refusal* apply_header(const Header& header, Rules* rules) {
  const auto is = [&](std::string_view name) { return equal_ignoring_case(header.name, name); };
  switch (header.name.size()) {
    case 4:
      if (is("host")) return apply_host(header.value, rules);
      break;
    case 6:
      if (is("expect")) return apply_expect(header.value, rules);
      break;
    case 10:
      if (is("connection")) apply_connection(header.value, &rules->seen);
      break;
    case 12:
      // Of several, the first one that says something counts.
      if (rules->request->content_type.empty() && is("content-type")) {
        rules->request->content_type = header.value;
      }
      break;
    case 14:
      if (is("content-length")) return apply_content_length(header.value, rules);
      break;
    case 16:
      if (rules->request->content_encoding.empty() && is("content-encoding") &&
          !is_identity(header.value)) {
        rules->request->content_encoding = header.value;
      }
      break;
    case 17:
      if (is("transfer-encoding")) return apply_transfer_encoding(header.value, rules);
      break;
    default:
      break;
  }
  return nullptr;
}

}  // namespace

const Refusal* apply_header_rules(size_t body_bytes_max, Request* request, Framing* framing) {
  Rules rules = {body_bytes_max, request, framing, {}};
  for (const Header& header : request->headers) {
    if (const Refusal* refusal = apply_header(header, &rules)) return refusal;
  }
  const Seen& seen = rules.seen;
  if (seen.content_length && seen.transfer_encoding) return &kAmbiguousLength;
  if (!seen.host && request->version_minor == 1) return &kMissingHost;
  if (!read_target(request)) return &kBadTarget;
  // RFC 9112 section 9.3. Behind CONNECT comes another protocol: nothing we could read.
  request->keep_alive = !seen.close && (request->version_minor == 1 || seen.keep_alive) &&
                        request->method != Method::connect;
  return nullptr;
}

}  // namespace postback::http
