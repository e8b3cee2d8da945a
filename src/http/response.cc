#include "http/response.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstring>

#include "base/json_writer.h"
#include "base/text_buffer.h"

namespace postback::http {
namespace {

using base::put;
using base::put_integer;

struct Reason {
  int status;
  std::string_view phrase;
};

constexpr Reason kReasons[] = {
    {100, "Continue"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {417, "Expectation Failed"},
    {422, "Unprocessable Content"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {503, "Service Unavailable"},
    {505, "HTTP Version Not Supported"},
};

// IMF-fixdate, RFC 9110 section 5.6.7: "Sun, 06 Nov 1994 08:49:37 GMT". No C library function:
// those that know calendars take locks and look at the locale.
void format_date(int64_t unix_second, char* text, size_t size) {
  constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::chrono::sys_seconds time{std::chrono::seconds(unix_second)};
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  std::snprintf(text, size, "%s, %02u %s %04d %02d:%02d:%02d GMT",
                kDays[std::chrono::weekday(day).c_encoding()], static_cast<unsigned>(date.day()),
                kMonths[static_cast<unsigned>(date.month()) - 1], static_cast<int>(date.year()),
                static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                static_cast<int>(clock.seconds().count()));
}

// Both stand in every answer. A cache must keep none (RFC 9111 section 5.2.2.5): a kept 404 of a
// partner that was enabled since would lose its postbacks. And a browser must not take text of a
// sender for a page (nosniff).
constexpr std::string_view kPolicy =
    "\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff";

// Nearly every answer: nothing in it needs a header of its own.
bool is_plain_json(const ResponseHead& head) {
  constexpr std::string_view kJson = "application/json";
  return head.status == 200 && head.retry_after_s == 0 && head.allow.empty() &&
         !head.without_body && head.content_type.size() == kJson.size() &&
         std::memcmp(head.content_type.data(), kJson.data(), kJson.size()) == 0;
}

char* put_head_end(char* to, const ResponseHead& head) {
  if (head.close) {
    to = put(to, "\r\nConnection: close");
  } else if (head.keep_alive_named) {
    to = put(to, "\r\nConnection: keep-alive");
  }
  return put(to, "\r\n\r\n");
}

void append_plain_json(std::string* out, const ResponseHead& head, const DateText& date,
                       std::string_view body) {
  char rest[64];  // The length, and what put_head_end() puts.
  const char* const end = put_head_end(put_integer(rest, static_cast<int64_t>(body.size())), head);
  out->append(date.json_start()).append(rest, static_cast<size_t>(end - rest)).append(body);
}

}  // namespace

std::string_view reason_phrase(int status) {
  if (status == 200) return "OK";  // Nearly always.
  for (const Reason& reason : kReasons) {
    if (reason.status == status) return reason.phrase;
  }
  return "Unknown";
}

void append_response(std::string* out, const ResponseHead& head, const DateText& date,
                     std::string_view body) {
  if (is_plain_json(head)) return append_plain_json(out, head, date, body);
  // RFC 9110 section 8.6: a 204 answer has neither body nor Content-Length.
  const bool has_content = head.status != 204;
  const std::string_view phrase = reason_phrase(head.status);
  // The names of all header fields, and the numbers.
  constexpr size_t kOwnBytesMax = 256;
  const size_t bytes_max = kOwnBytesMax + kPolicy.size() + phrase.size() + date.text().size() +
                           head.content_type.size() + head.allow.size() + body.size();
  base::append_with(out, bytes_max, [&](char* to) {
    to = put_integer(put(to, "HTTP/1.1 "), head.status);
    to = put(put(put(to, ' '), phrase), "\r\nDate: ");
    to = put(put(to, date.text()), kPolicy);
    if (has_content) {
      if (!head.content_type.empty()) {
        to = put(put(to, "\r\nContent-Type: "), head.content_type);
      }
      to = put_integer(put(to, "\r\nContent-Length: "), static_cast<int64_t>(body.size()));
    }
    if (head.retry_after_s > 0) to = put_integer(put(to, "\r\nRetry-After: "), head.retry_after_s);
    if (!head.allow.empty()) to = put(put(to, "\r\nAllow: "), head.allow);
    to = put_head_end(to, head);
    return has_content && !head.without_body ? put(to, body) : to;
  });
}

void append_continue(std::string* out) {
  out->append("HTTP/1.1 100 Continue\r\n\r\n");
}

const DateText& DateText::at(int64_t wall_us) {
  constexpr int64_t kSecondUs = 1'000'000;
  constexpr int64_t kSecondMax = 253'402'300'799;  // 9999-12-31 23:59:59: years have four digits.
  const int64_t second = std::clamp<int64_t>(wall_us / kSecondUs, 0, kSecondMax);
  if (second != second_) {
    second_ = second;
    format();
  }
  return *this;
}

void DateText::format() {
  constexpr std::string_view kBefore = "HTTP/1.1 200 OK\r\nDate: ";
  static_assert(kBefore.size() == kStart);
  char text[kBytes + 1] = {};
  format_date(second_, text, sizeof text);
  json_start_ = kBefore;
  json_start_.append(text, kBytes);
  json_start_ += kPolicy;
  json_start_ += "\r\nContent-Type: application/json\r\nContent-Length: ";
}

}  // namespace postback::http
