// What a request's header fields mean for HTTP itself: host, body length, persistence.
#pragma once

#include <cstddef>

#include "http/request.h"

namespace postback::http {

struct Framing {
  bool chunked = false;
  size_t content_length = 0;     // 0 when absent or chunked; at most body_bytes_max.
  bool expect_continue = false;  // HTTP/1.1 with "Expect: 100-continue".
};

// Reads request->headers, method, target and version_minor, and fills the fields of *request that
// follow from them, and *framing. Null, or why the request is refused (static).
const Refusal* apply_header_rules(size_t body_bytes_max, Request* request, Framing* framing);

}  // namespace postback::http
