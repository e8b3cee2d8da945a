#include "http/response.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>

namespace postback::http {
namespace {

constexpr std::string_view kDate = "Sun, 06 Nov 1994 08:49:37 GMT";
// Stands behind the date of every answer.
#define POLICY "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
constexpr int64_t kTimeUs = 784'111'777'000'000;

std::string response(const ResponseHead& head, std::string_view body) {
  std::string out = "before|";
  DateText date;
  append_response(&out, head, date.at(kTimeUs), body);
  EXPECT_EQ(out.substr(0, 7), "before|") << "it only appends";
  return out.substr(7);
}

TEST(Response, HasHeadAndBody) {
  EXPECT_EQ(response({}, "{}"), "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n" POLICY
                                "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}");
}

// The commonest response is written from ready bytes: it must be what the others are, header by
// header.
TEST(Response, WithReadyBytesIsTheSameAsWithout) {
  const std::string body(12'345, 'x');
  for (const bool close : {false, true}) {
    for (const bool keep_alive_named : {false, true}) {
      for (const size_t size : {size_t{0}, size_t{9}, body.size()}) {
        ResponseHead head;
        head.close = close;
        head.keep_alive_named = keep_alive_named;
        const std::string ready = response(head, std::string_view(body).substr(0, size));
        head.allow = "GET";
        std::string expected = response(head, std::string_view(body).substr(0, size));
        expected.erase(expected.find("\r\nAllow: GET"), 12);
        EXPECT_EQ(ready, expected) << close << keep_alive_named << size;
      }
    }
  }
}

TEST(Response, WithReadyBytesIsOnlyForStatus200AndJson) {
  ResponseHead head;
  head.content_type = "text/plain; v=00";  // As long as that of JSON.
  EXPECT_NE(response(head, "x").find("Content-Type: text/plain; v=00\r\n"), std::string::npos);
  head = {};
  head.status = 202;
  EXPECT_TRUE(response(head, "x").starts_with("HTTP/1.1 202 Accepted\r\n"));
  head = {};
  head.retry_after_s = 3;
  EXPECT_NE(response(head, "x").find("\r\nRetry-After: 3\r\n"), std::string::npos);
}

TEST(Response, NamesEverythingAskedFor) {
  ResponseHead head;
  head.status = 503;
  head.content_type = "text/plain";
  head.close = true;
  head.keep_alive_named = true;
  head.retry_after_s = 30;
  head.allow = "GET, POST";
  EXPECT_EQ(response(head, ""),
            "HTTP/1.1 503 Service Unavailable\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n" POLICY
            "Content-Type: text/plain\r\nContent-Length: 0\r\nRetry-After: 30\r\n"
            "Allow: GET, POST\r\nConnection: close\r\n\r\n");
}

TEST(Response, TellsAnHttp10ClientThatItKeepsAlive) {
  ResponseHead head;
  head.keep_alive_named = true;
  EXPECT_NE(response(head, "").find("\r\nConnection: keep-alive\r\n"), std::string::npos);
}

TEST(Response, ToHeadTellsTheLengthOfTheBodyItLeavesOut) {
  ResponseHead head;
  head.without_body = true;
  const std::string text = response(head, "12345");
  EXPECT_NE(text.find("\r\nContent-Length: 5\r\n"), std::string::npos);
  EXPECT_EQ(text.substr(text.size() - 4), "\r\n\r\n");
}

TEST(Response, WithoutContentHasNeitherLengthNorType) {
  ResponseHead head;
  head.status = 204;
  head.without_body = true;
  head.allow = "GET";
  EXPECT_EQ(response(head, ""),
            "HTTP/1.1 204 No Content\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n" POLICY
            "Allow: GET\r\n\r\n");
}

// A cache that kept the 404 of a partner who was enabled since would lose its postbacks.
TEST(Response, MayBeKeptByNoCacheAndReadAsNoOtherTypeWhateverItsStatus) {
  for (const int status : {200, 202, 204, 400, 404, 405, 408, 413, 415, 422, 431, 501, 503, 505}) {
    for (const bool without_body : {false, true}) {
      ResponseHead head;
      head.status = status;
      head.without_body = without_body;
      const std::string text = response(head, status == 204 ? "" : "{}");
      EXPECT_NE(text.find("\r\nCache-Control: no-store\r\n"), std::string::npos) << status;
      EXPECT_NE(text.find("\r\nX-Content-Type-Options: nosniff\r\n"), std::string::npos) << status;
    }
  }
}

TEST(Response, NamesReasons) {
  EXPECT_EQ(reason_phrase(200), "OK");
  EXPECT_EQ(reason_phrase(431), "Request Header Fields Too Large");
  EXPECT_EQ(reason_phrase(599), "Unknown");
  EXPECT_EQ(reason_phrase(-1), "Unknown");
}

TEST(Response, AsksToContinue) {
  std::string out;
  append_continue(&out);
  EXPECT_EQ(out, "HTTP/1.1 100 Continue\r\n\r\n");
}

TEST(DateText, FormatsTheDateOfTheRfc) {
  DateText date;
  EXPECT_EQ(date.at(784'111'777'000'000).text(), kDate);
  EXPECT_EQ(date.at(784'111'777'999'999).text(), kDate);
  EXPECT_EQ(date.at(784'111'778'000'000).text(), "Sun, 06 Nov 1994 08:49:38 GMT");
  EXPECT_EQ(date.at(0).text(), "Thu, 01 Jan 1970 00:00:00 GMT");
  EXPECT_EQ(date.at(1'709'164'800'000'000).text(), "Thu, 29 Feb 2024 00:00:00 GMT");
}

TEST(DateText, MovesTheReadyStartWithTheSecond) {
  DateText date;
  for (const int64_t time_us : {kTimeUs, kTimeUs + 1'000'000, int64_t{0}}) {
    const DateText& at = date.at(time_us);
    EXPECT_EQ(at.json_start(), "HTTP/1.1 200 OK\r\nDate: " + std::string(at.text()) +
                                   "\r\n" POLICY
                                   "Content-Type: application/json\r\nContent-Length: ");
  }
}

TEST(DateText, StaysADateWhateverTheClockSays) {
  DateText date;
  EXPECT_EQ(date.at(std::numeric_limits<int64_t>::min()).text(), "Thu, 01 Jan 1970 00:00:00 GMT");
  EXPECT_EQ(date.at(std::numeric_limits<int64_t>::max()).text(), "Fri, 31 Dec 9999 23:59:59 GMT");
}

}  // namespace
}  // namespace postback::http
