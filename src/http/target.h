// Syntax of the Host header and of the request target (RFC 9112 section 3.2). Pure functions.
#pragma once

#include <string_view>

#include "http/request.h"

namespace postback::http {

// A host with an optional port: a DNS name or IPv4 address, or an IPv6 address in brackets.
// Stricter than RFC 3986: no user information, no percent-encoding, no empty name, port at most
// 65535.
bool is_host(std::string_view text);

// Fills request->path and query from target, method and host. False when the target has none of
// the four forms, has one its method must not have, or names another authority than host does.
// A request without host (HTTP/1.0) takes it from an absolute-form target.
bool read_target(Request* request);

}  // namespace postback::http
