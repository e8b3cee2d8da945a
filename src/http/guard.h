// The guard in front of llhttp: checks of raw lines that llhttp does not make, even when it is
// compiled strict. llhttp 8.1 lets pass: folded headers, empty header names, a bare LF behind the
// request line, HTTP/0.9 and HTTP/2.0 request lines, chunk extensions of any length. Each of them
// is a way to make two servers disagree on where a request ends (request smuggling).
//
// Pure functions. Each returns nullptr for a line that may pass, else the static refusal.
#pragma once

#include <cstddef>
#include <string_view>

#include "http/request.h"

namespace postback::http {

// Whether a piece of a request line, as yet without its end, may still become one. Finds a TLS
// hello or other garbage before a line's end has come, which may be never.
bool request_line_may_go_on(std::string_view piece);

// `line`: with its LF. RFC 9112 section 3, and nothing of its leniency.
const Refusal* check_request_line(std::string_view line);

// `line`: with its LF, not the empty line. RFC 9112 section 5, and nothing of its leniency.
const Refusal* check_field_line(std::string_view line);

// `line`: with its LF. RFC 9112 section 7.1: at most kChunkSizeDigitsMax digits, then maybe
// well-formed extensions, which nobody interprets. Adds their bytes to *extension_bytes.
inline constexpr size_t kChunkSizeDigitsMax = 16;
const Refusal* check_chunk_size_line(std::string_view line, size_t* extension_bytes);

}  // namespace postback::http
