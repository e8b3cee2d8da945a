#include "http/response.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdio>

namespace postback::http {
namespace {

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

// Decimal digits on the stack.
class Digits {
 public:
  explicit Digits(size_t value) { end_ = std::to_chars(text_, text_ + sizeof text_, value).ptr; }
  std::string_view view() const { return {text_, static_cast<size_t>(end_ - text_)}; }

 private:
  char text_[20];
  char* end_;
};

// Writes behind `to`, which has room; the size was summed up before.
char* put(char* to, std::string_view text) {
  return std::copy(text.begin(), text.end(), to);
}

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

}  // namespace

std::string_view reason_phrase(int status) {
  if (status == 200) return "OK";  // Nearly always.
  for (const Reason& reason : kReasons) {
    if (reason.status == status) return reason.phrase;
  }
  return "Unknown";
}

void append_response(std::string* out, const ResponseHead& head, std::string_view date,
                     std::string_view body) {
  // RFC 9110 section 8.6: a 204 answer has neither body nor Content-Length.
  const bool has_content = head.status != 204;
  const bool has_type = has_content && !head.content_type.empty();
  const Digits status(static_cast<size_t>(head.status));
  const Digits length(body.size());
  const Digits retry_after(head.retry_after_s > 0 ? static_cast<size_t>(head.retry_after_s) : 0);

  // The answer's parts in order; an empty part is one that this answer does not have.
  const auto if_so = [](bool condition, std::string_view text) {
    return condition ? text : std::string_view("");
  };
  const std::string_view parts[] = {
      "HTTP/1.1 ",
      status.view(),
      " ",
      reason_phrase(head.status),
      "\r\nDate: ",
      date,
      if_so(has_type, "\r\nContent-Type: "),
      if_so(has_type, head.content_type),
      if_so(has_content, "\r\nContent-Length: "),
      if_so(has_content, length.view()),
      if_so(head.retry_after_s > 0, "\r\nRetry-After: "),
      if_so(head.retry_after_s > 0, retry_after.view()),
      if_so(!head.allow.empty(), "\r\nAllow: "),
      head.allow,
      if_so(head.close, "\r\nConnection: close"),
      if_so(!head.close && head.keep_alive_named, "\r\nConnection: keep-alive"),
      "\r\n\r\n",
      if_so(has_content && !head.without_body, body),
  };
  size_t size = 0;
  for (const std::string_view part : parts) size += part.size();
  const size_t before = out->size();
  out->resize(before + size);
  char* to = out->data() + before;
  for (const std::string_view part : parts) to = put(to, part);
}

void append_continue(std::string* out) {
  out->append("HTTP/1.1 100 Continue\r\n\r\n");
}

std::string_view DateText::at(int64_t wall_us) {
  constexpr int64_t kSecondUs = 1'000'000;
  constexpr int64_t kSecondMax = 253'402'300'799;  // 9999-12-31 23:59:59: years have four digits.
  constexpr size_t kDateBytes = 29;
  const int64_t second = std::clamp<int64_t>(wall_us / kSecondUs, 0, kSecondMax);
  if (second != second_) {
    second_ = second;
    format_date(second, text_, sizeof text_);
  }
  return {text_, kDateBytes};
}

}  // namespace postback::http
