// Heads that are refused: the table of bad input, row by row, and what llhttp alone would let pass.
#include <gtest/gtest.h>

#include <string>

#include "split.h"

namespace postback::http {
namespace {

// Behind every refused request stands a good one, which must never be parsed.
constexpr std::string_view kNext = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n";

int status_of(std::string_view head) {
  const std::string bytes = std::string(head) + std::string(kNext);
  EXPECT_EQ(request_count(bytes), 0u) << head;
  return refused_status(bytes);
}

int status_of_header(std::string_view field) {
  return status_of("GET /p HTTP/1.1\r\nHost: a\r\n" + std::string(field) + "\r\n\r\n");
}

int status_of_host(std::string_view host) {
  return status_of("GET /p HTTP/1.1\r\nHost: " + std::string(host) + "\r\n\r\n");
}

int status_of_post(std::string_view fields, std::string_view version = "HTTP/1.1") {
  return status_of("POST /p " + std::string(version) + "\r\nHost: a\r\n" + std::string(fields) +
                   "\r\n");
}

// Row 1.
TEST(ParserRefuses, ATlsHelloBeforeItsFirstLineEnds) {
  constexpr std::string_view kHello("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11);
  EXPECT_EQ(refused_status(kHello), 400);
  EXPECT_EQ(refused_status(std::string_view("\0", 1)), 400);
  EXPECT_EQ(refused_status("\x80\x2e\x01"), 400) << "a hello of SSL 2";
}

TEST(ParserRefuses, Garbage) {
  EXPECT_EQ(status_of("hello\r\n\r\n"), 400);
  EXPECT_EQ(status_of(" GET /p HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(status_of("{\"json\": 1}\r\n\r\n"), 400);
  EXPECT_EQ(status_of("\r\nSSH-2.0-OpenSSH_9.2\r\n"), 400);
}

// Row 2.
TEST(ParserRefuses, OtherVersionsOfHttp) {
  EXPECT_EQ(status_of("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505);
  EXPECT_EQ(status_of("PRI * HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET /p\r\n\r\n"), 400) << "HTTP/0.9";
  EXPECT_EQ(status_of("GET /p \r\n\r\n"), 400);
  for (const std::string version : {"HTTP/0.9", "HTTP/1.2", "HTTP/2.0", "HTTP/3.0", "HTTP/9.9"}) {
    EXPECT_EQ(status_of("GET /p " + version + "\r\nHost: a\r\n\r\n"), 505) << version;
  }
  for (const std::string version :
       {"HTTP/1", "HTTP/1.", "HTTP/1.10", "HTTP/11", "http/1.1", "HTTP/1.1 ", " HTTP/1.1",
        "HTTP /1.1", "HTTPS/1.1", "HTTP/1.1\t", "RTSP/1.0", "ICE/1.0", "HTTP/-1.1"}) {
    EXPECT_EQ(status_of("GET /p " + version + "\r\nHost: a\r\n\r\n"), 400) << version;
  }
}

// Row 4.
TEST(ParserRefuses, UnknownMethods) {
  for (const std::string method : {"BREW", "get", "GETS", "GE", "X", "DESCRIBE", "G-T"}) {
    EXPECT_EQ(status_of(method + " /p HTTP/1.1\r\nHost: a\r\n\r\n"), 501) << method;
  }
  EXPECT_EQ(status_of("G(T /p HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
}

// Row 8.
TEST(ParserRefuses, NoHostOrMoreThanOne) {
  EXPECT_EQ(status_of("GET /p HTTP/1.1\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET http://a/p HTTP/1.1\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET /p HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET /p HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"), 400);
}

TEST(ParserRefuses, AHostThatIsNone) {
  for (const std::string host :
       {"",    "a b", "user@a",  "user:pw@a",        "a/p",   "a?q",  "a#f",
        "a,b", "a:x", "a:65536", "a:123456",         "a:1:2", ":80",  "[::1",
        "::1", "[]",  "[::1]x",  "[fe80::1%25eth0]", "a\\b",  "a%00", "http://a"}) {
    EXPECT_EQ(status_of_host(host), 400) << host;
  }
  EXPECT_EQ(status_of_host(std::string(256, 'a')), 400);
}

TEST(ParserAccepts, AnyHostNameOrAddress) {
  for (const std::string host : {"a", "A.example.com.", "my_host-1:8000", "127.0.0.1:65535",
                                 "[::1]", "[::ffff:1.2.3.4]:80", "a:", "xn--fsq.example"}) {
    EXPECT_EQ(request_count("GET /p HTTP/1.1\r\nHost: " + host + "\r\n\r\n"), 1u) << host;
  }
}

// Row 10.
TEST(ParserRefuses, AnAbsoluteTargetOfAnotherHostOrScheme) {
  for (const std::string target :
       {"http://b/p", "http://a:80/p", "http://user@a/p", "http:///p", "http://", "ftp://a/p",
        "http:/a/p", "a/p", "a", "*", "a:80", "http://a.b/p", "?q"}) {
    EXPECT_EQ(status_of("GET " + target + " HTTP/1.1\r\nHost: a\r\n\r\n"), 400) << target;
  }
  EXPECT_EQ(status_of("CONNECT /p HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
}

// Row 11.
TEST(ParserRefuses, BytesThatATargetCannotHold) {
  for (const char c : std::string_view("#\t\x01\x7f\x80\xff\r\v\f ", 10)) {
    EXPECT_EQ(status_of("GET /p" + std::string(1, c) + "q HTTP/1.1\r\nHost: a\r\n\r\n"), 400)
        << static_cast<int>(c);
  }
  EXPECT_EQ(status_of(std::string_view("GET /p\0q HTTP/1.1\r\nHost: a\r\n\r\n", 30)), 400);
  EXPECT_EQ(status_of("GET  /p HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET /p  HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET\t/p HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
}

// Row 14, and the first two rows of the guard's table.
TEST(ParserRefuses, FoldedHeaders) {
  EXPECT_EQ(status_of_header("X: a\r\n b"), 400);
  EXPECT_EQ(status_of_header("X: a\r\n\tb"), 400);
  EXPECT_EQ(status_of_header("X: a\r\n "), 400);
  EXPECT_EQ(status_of_header("Content-Length:\r\n 5"), 400);
  EXPECT_EQ(status_of_header("Transfer-Encoding:\r\n\tchunked"), 400);
  EXPECT_EQ(status_of("GET /p HTTP/1.1\r\n Host: a\r\n\r\n"), 400);
}

TEST(ParserRefuses, HeaderNamesThatAreNone) {
  for (const std::string field : {": a", " : a", "X : a", "X\t: a", "X", "X a", "X\xe4: a",
                                  "(X): a", "X@: a", "\"X\": a", "X[]: a"}) {
    EXPECT_EQ(status_of_header(field), 400) << field;
  }
  EXPECT_EQ(status_of("GET /p HTTP/1.1\r\nHost : a\r\n\r\n"), 400);
}

TEST(ParserRefuses, ControlBytesInAHeader) {
  for (int c = 0; c < 0x20; c++) {
    if (c == '\t') continue;
    const std::string byte(1, static_cast<char>(c));
    EXPECT_EQ(status_of_header("X: a" + byte + "b"), 400) << c;
    EXPECT_EQ(status_of_header("X" + byte + "Y: 12345678"), 400) << c;
    EXPECT_EQ(status_of_header("X: 0123456789" + byte + "0123456789"), 400) << c;
  }
  EXPECT_EQ(status_of_header("X: a\x7f"), 400);
  EXPECT_EQ(status_of_header("X: a\rY: b"), 400) << "a bare CR smuggles a header";
  EXPECT_EQ(status_of_header("X: a\r\r"), 400);
}

TEST(ParserRefuses, LinesThatEndInLfAlone) {
  EXPECT_EQ(status_of("GET /p HTTP/1.1\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET /p HTTP/1.1\r\nHost: a\n\r\n"), 400);
  EXPECT_EQ(status_of("GET /p HTTP/1.1\r\nHost: a\r\n\n"), 400);
  EXPECT_EQ(status_of("GET /p HTTP/1.1\nHost: a\n\n"), 400);
  EXPECT_EQ(status_of_header("X: a\nY: b"), 400);
}

TEST(ParserRefuses, ABlockThatEndsInSomethingElseThanAnEmptyLine) {
  EXPECT_EQ(status_of("GET /p HTTP/1.1\r\nHost: a\r\n\rX"), 400);
  EXPECT_EQ(status_of("GET /p HTTP/1.1\r\nHost: a\r\n\r\r\n"), 400);
}

// Row 15.
TEST(ParserRefuses, ContentLengthTogetherWithTransferEncoding) {
  EXPECT_EQ(status_of_post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), 400);
  EXPECT_EQ(status_of_post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), 400);
  EXPECT_EQ(status_of_post("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n"), 400);
  EXPECT_EQ(status_of_post("Content-Length:\r\nTransfer-Encoding: chunked\r\n"), 400);
}

// Row 16.
TEST(ParserRefuses, AContentLengthThatIsNotOneDecimalNumber) {
  for (const std::string length : {"", "+5", "-1", "0x5", "5a", "a", "5, 5", "5,6", "5 5", "1e2",
                                   "5.0", "18446744073709551616", "99999999999999999999",
                                   "00000000000000000005", "\"5\"", "\xd9\xa5"}) {
    EXPECT_EQ(status_of_post("Content-Length: " + length + "\r\n"), 400) << length;
  }
  EXPECT_EQ(status_of_post("Content-Length: 5\r\nContent-Length: 5\r\n"), 400);
  EXPECT_EQ(status_of_post("Content-Length: 0\r\ncontent-length: 6\r\n"), 400);
  EXPECT_EQ(status_of_post("Content-Length: 5, 5\r\n", "HTTP/1.0"), 400);
}

// Row 17.
TEST(ParserRefuses, ATransferEncodingThatIsNotExactlyChunked) {
  for (const std::string coding :
       {"", "chunked, chunked", "gzip, chunked", "chunked, gzip", "chunked;q=1", "chun ked",
        "\"chunked\"", ",chunked", "chunked,"}) {
    EXPECT_EQ(status_of_post("Transfer-Encoding: " + coding + "\r\n"), 400) << coding;
  }
  for (const std::string coding : {"gzip", "identity", "xchunked", "chunkedx"}) {
    EXPECT_EQ(status_of_post("Transfer-Encoding: " + coding + "\r\n"), 501) << coding;
  }
  EXPECT_EQ(status_of_post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 400);
  EXPECT_EQ(status_of_post("Transfer-Encoding: chunked\r\n", "HTTP/1.0"), 400);
}

// Row 23.
TEST(ParserRefuses, AnotherExpectation) {
  EXPECT_EQ(status_of_post("Expect: 200-ok\r\nContent-Length: 5\r\n"), 417);
  EXPECT_EQ(status_of_post("Expect: 100-continue, x\r\n"), 417);
  EXPECT_EQ(status_of_post("Expect:\r\n"), 417);
}

TEST(ParserRefuses, WithStableCodes) {
  const auto code = [](std::string_view bytes, const Limits& limits = {}) {
    Fed fed(bytes, limits);
    EXPECT_EQ(fed.status, Parser::Status::refused);
    EXPECT_FALSE(fed.refusal().message.empty());
    return std::string(fed.refusal().code);
  };
  const std::string start = "POST /p HTTP/1.1\r\nHost: a\r\n";
  Limits limits;
  limits.header_count_max = 1;
  EXPECT_EQ(code("x\r\n"), "bad_request");
  EXPECT_EQ(code("GET /p HTTP/2.0\r\n"), "unsupported_version");
  EXPECT_EQ(code("BREW /p HTTP/1.1\r\nHost: a\r\n\r\n"), "unknown_method");
  EXPECT_EQ(code("GET /" + std::string(9000, 'x')), "request_line_too_long");
  EXPECT_EQ(code(start + "X: " + std::string(9000, 'x')), "header_too_large");
  EXPECT_EQ(code(start + "X: a\r\n", limits), "too_many_headers");
  EXPECT_EQ(code(start + "Content-Length: 65537\r\n\r\n"), "body_too_large");
  EXPECT_EQ(code(start + "Transfer-Encoding: gzip\r\n\r\n"), "unknown_transfer_coding");
  EXPECT_EQ(code(start + "Expect: x\r\n\r\n"), "unsupported_expectation");
}

}  // namespace
}  // namespace postback::http
