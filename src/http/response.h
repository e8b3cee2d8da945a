// Writing responses by appending to a connection's output. Pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace postback::http {

struct ResponseHead {
  int status = 200;
  std::string_view content_type = "application/json";
  bool close = false;             // Adds "Connection: close".
  bool keep_alive_named = false;  // HTTP/1.0 client that asked to keep alive: says so.
  int retry_after_s = 0;          // Above 0: adds Retry-After.
  std::string_view allow;         // Not empty: adds Allow.
  bool without_body = false;      // HEAD, 204: head only (Content-Length still told, not for 204).
};

// Status line, Date, Content-Type, Content-Length and the body, appended at once.
// `date`: an IMF-fixdate (RFC 9110 section 5.6.7), from DateText.
void append_response(std::string* out, const ResponseHead& head, std::string_view date,
                     std::string_view body);
void append_continue(std::string* out);  // 100 Continue.

// The reason phrase, "OK"; "Unknown" for a status we never send.
std::string_view reason_phrase(int status);

// The Date header's value, formatted once per second. One per core.
class DateText {
 public:
  std::string_view at(int64_t wall_us);  // Valid until the next call.

 private:
  int64_t second_ = -1;
  char text_[32] = {};
};

}  // namespace postback::http
