// One parsed HTTP/1.x request (RFC 9112). All views borrow from the parser, from its KnownHeads or
// from the bytes given to it, and are valid until the next feed() of a parser with these
// KnownHeads.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "postback/header.h"

namespace postback::http {

enum class Method : uint8_t {
  get,
  head,
  post,
  put,
  delete_,
  patch,
  options,
  trace,
  connect,
  other
};

struct Request {
  Method method = Method::get;
  std::string_view method_name;
  std::string_view target;  // As it came: printable ASCII without space.
  // From target: origin-form and absolute-form give path ("/partner/x") and query (behind '?', not
  // decoded, empty when absent); "*" and authority-form give themselves as the path.
  std::string_view path;
  std::string_view query;
  std::string_view host;
  std::string_view content_type;  // Empty when absent.
  // The first that names another coding than "identity"; empty when none does.
  std::string_view content_encoding;
  std::span<const Header> headers;  // All, in order, trailers excluded.
  // The bytes that `headers` were read from, with the empty line: equal ones have equal headers.
  std::string_view header_section;
  std::string_view body;      // Chunked coding removed.
  uint8_t version_minor = 1;  // 0 or 1.
  bool keep_alive = true;     // What the client asked for, after RFC 9112 section 9.3.
};

// Why the parser refuses: answered with this status, then the connection closes.
struct Refusal {
  int status = 400;
  std::string_view code;     // "bad_request", "header_too_large", … stable, for programs.
  std::string_view message;  // One sentence for a person. Static text.
};

}  // namespace postback::http
