#include "http/target.h"

#include <cstddef>

#include "http/characters.h"

namespace postback::http {
namespace {

constexpr size_t kHostBytesMax = 255;  // RFC 1035 section 2.3.4.

// What stands behind the host: nothing, or a colon and a port (RFC 3986 allows none behind it).
bool is_port_part(std::string_view text) {
  if (text.empty()) return true;
  if (text[0] != ':' || text.size() > 6) return false;
  int port = 0;
  for (const char c : text.substr(1)) {
    if (!is_digit(c)) return false;
    port = port * 10 + (c - '0');
  }
  return port <= 65535;
}

// The address is only delimited, not understood: nothing is ever connected to it.
bool is_bracketed_host(std::string_view text) {
  const size_t end = text.find(']');
  if (end == std::string_view::npos || end < 3) return false;
  for (const char c : text.substr(1, end - 1)) {
    if (!is_hex_digit(c) && c != ':' && c != '.') return false;
  }
  return text.substr(1, end - 1).find(':') != std::string_view::npos &&
         is_port_part(text.substr(end + 1));
}

void split_query(std::string_view text, Request* request) {
  const size_t mark = text.find('?');
  request->path = text.substr(0, mark);
  request->query = mark == std::string_view::npos ? std::string_view() : text.substr(mark + 1);
}

// The bytes of "http://" or "https://" at the front, in any case; 0 when there is neither.
size_t scheme_size(std::string_view target) {
  for (const std::string_view scheme :
       {std::string_view("http://"), std::string_view("https://")}) {
    if (equal_ignoring_case(target.substr(0, scheme.size()), scheme)) return scheme.size();
  }
  return 0;
}

bool read_absolute_form(Request* request) {
  const size_t authority_start = scheme_size(request->target);
  if (authority_start == 0) return false;
  const std::string_view rest = request->target.substr(authority_start);
  const size_t authority_size = rest.find_first_of("/?");
  const std::string_view authority = rest.substr(0, authority_size);
  if (!is_host(authority)) return false;
  if (request->host.empty()) request->host = authority;
  if (!equal_ignoring_case(authority, request->host)) return false;
  split_query(authority_size == std::string_view::npos ? "" : rest.substr(authority_size), request);
  if (request->path.empty()) request->path = "/";
  return true;
}

}  // namespace

bool is_host(std::string_view text) {
  if (text.empty() || text.size() > kHostBytesMax) return false;
  if (text[0] == '[') return is_bracketed_host(text);
  size_t size = 0;
  while (size < text.size() && (is_alpha(text[size]) || is_digit(text[size]) || text[size] == '.' ||
                                text[size] == '-' || text[size] == '_')) {
    size++;
  }
  return size > 0 && is_port_part(text.substr(size));
}

bool read_target(Request* request) {
  const std::string_view target = request->target;
  if (request->method == Method::connect) {
    request->path = target;
    return is_host(target);
  }
  if (target.empty()) return false;
  if (target[0] == '/') {
    split_query(target, request);
    return true;
  }
  if (target == "*") {
    request->path = target;
    return request->method == Method::options;
  }
  return read_absolute_form(request);
}

}  // namespace postback::http
