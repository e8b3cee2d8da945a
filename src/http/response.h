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

// What responses say about the time, formatted once per second. One per core.
class DateText {
 public:
  DateText() { format(); }
  const DateText& at(int64_t wall_us);  // Goes to that time.

  // The Date header's value, an IMF-fixdate (RFC 9110 section 5.6.7). Valid until the next at(),
  // like the other.
  std::string_view text() const { return std::string_view(json_start_).substr(kStart, kBytes); }
  // How a response with status 200 and JSON begins: all before the value of Content-Length.
  std::string_view json_start() const { return json_start_; }

 private:
  static constexpr size_t kStart = 23;  // Behind "HTTP/1.1 200 OK\r\nDate: ".
  static constexpr size_t kBytes = 29;

  void format();

  int64_t second_ = 0;
  std::string json_start_;
};

// Status line, Date, what caches and browsers must not do, Content-Type, Content-Length and the
// body, appended at once.
void append_response(std::string* out, const ResponseHead& head, const DateText& date,
                     std::string_view body);
void append_continue(std::string* out);  // 100 Continue.

// The reason phrase, "OK"; "Unknown" for a status we never send.
std::string_view reason_phrase(int status);

}  // namespace postback::http
