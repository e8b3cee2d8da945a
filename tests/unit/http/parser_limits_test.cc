// Every limit, exactly at it and one over it; and time and memory that grow with the bytes only.
#include <gtest/gtest.h>

#include <string>

#include "split.h"

namespace postback::http {
namespace {

// A request line of that many bytes, without its CRLF.
std::string request_line(size_t bytes) {
  return "GET /" + std::string(bytes - 14, 'x') + " HTTP/1.1\r\n";
}

// A header field of that many bytes, without its CRLF.
std::string field(size_t bytes) {
  return "X: " + std::string(bytes - 3, 'v') + "\r\n";
}

// Row 12.
TEST(ParserLimits, ARequestLineMayHave8KiB) {
  EXPECT_EQ(request_count(request_line(8192) + "Host: a\r\n\r\n"), 1u);
  EXPECT_EQ(refused_status(request_line(8193) + "Host: a\r\n\r\n"), 414);
  EXPECT_EQ(refused_status("GET /" + std::string(100'000, 'x')), 414);
  EXPECT_EQ(refused_status("GET /" + std::string(8000, 'x') + "\x01" + std::string(8000, 'x')), 400)
      << "what is wrong first decides";
  EXPECT_EQ(refused_status("GET /" + std::string(9000, 'x') + "\x01"), 414);
}

// Row 13.
TEST(ParserLimits, AHeaderMayHave8KiB) {
  const std::string start = "GET /p HTTP/1.1\r\nHost: a\r\n";
  EXPECT_EQ(request_count(start + field(8192) + "\r\n"), 1u);
  EXPECT_EQ(refused_status(start + field(8193) + "\r\n"), 431);
  EXPECT_EQ(refused_status(start + "X: " + std::string(100'000, 'x')), 431);
  EXPECT_EQ(refused_status(start + std::string(100'000, '\t')), 431);
}

TEST(ParserLimits, ARequestMayHave100Headers) {
  const std::string start = "GET /p HTTP/1.1\r\nHost: a\r\n";
  EXPECT_EQ(request_count(start + repeated("X: v\r\n", 99) + "\r\n"), 1u);
  EXPECT_EQ(refused_status(start + repeated("X: v\r\n", 100) + "\r\n"), 431);
}

TEST(ParserLimits, AllHeadersMayHave16KiB) {
  const std::string line = "GET /p HTTP/1.1\r\n";
  const std::string host = "Host: a\r\n";
  const size_t rest = 16 * 1024 - host.size() - field(8000).size();
  EXPECT_EQ(request_count(line + host + field(8000) + field(rest - 2 - 300) + field(298) + "\r\n"),
            1u);
  EXPECT_EQ(refused_status(line + host + field(8000) + field(rest - 2 - 300) + field(299) + "\r\n"),
            431);
  EXPECT_EQ(refused_status(line + host + field(8000) + field(8000) + field(8000) + "\r\n"), 431);
}

TEST(ParserLimits, AreThoseGiven) {
  Limits limits;
  limits.request_line_bytes_max = 20;
  limits.header_bytes_max = 10;
  limits.head_bytes_max = 30;
  limits.header_count_max = 3;
  limits.body_bytes_max = 4;
  limits.chunk_extension_bytes_max = 2;
  const std::string start = "POST /p HTTP/1.1\r\nHost: a\r\n";
  EXPECT_EQ(request_count(request_line(20) + "Host: a\r\n\r\n", limits), 1u);
  EXPECT_EQ(refused_status(request_line(21) + "Host: a\r\n\r\n", limits), 414);
  EXPECT_EQ(request_count(start + field(10) + "\r\n", limits), 1u);
  EXPECT_EQ(refused_status(start + field(11) + "\r\n", limits), 431);
  EXPECT_EQ(request_count(start + field(10) + field(7) + "\r\n", limits), 1u);
  EXPECT_EQ(refused_status(start + field(10) + field(8) + "\r\n", limits), 431);
  EXPECT_EQ(refused_status(start + "A:\r\nB:\r\nC:\r\n\r\n", limits), 431);
  EXPECT_EQ(refused_status("POST / HTTP/1.0\r\nA: 5\r\nContent-Length: 5\r\n\r\n", limits), 431);
  limits.header_bytes_max = limits.head_bytes_max = 100;
  EXPECT_EQ(request_count(start + "Content-Length: 4\r\n\r\nbody", limits), 1u);
  EXPECT_EQ(refused_status(start + "Content-Length: 5\r\n\r\n", limits), 413);
  const std::string chunked = start + "Transfer-Encoding: chunked\r\n\r\n";
  EXPECT_EQ(request_count(chunked + "4;x\r\nbody\r\n0\r\n\r\n", limits), 1u);
  EXPECT_EQ(refused_status(chunked + "4;xy\r\nbody\r\n0\r\n\r\n", limits), 400);
  EXPECT_EQ(refused_status(chunked + "4;x\r\nbody\r\n0;\r\n\r\n", limits), 400);
}

// Chunks of one byte are the most expensive form of a body: still each byte is looked at once.
TEST(ParserLimits, ABodyMayComeInChunksOfOneByte) {
  const std::string bytes = "POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" +
                            repeated("1\r\nx\r\n", 65536);
  Parser parser;
  EXPECT_EQ(outcomes(&parser, bytes, [] { return 1; }), Outcomes{"in a body"});
  std::string_view input = "1\r\n";
  EXPECT_EQ(parser.feed(&input), Parser::Status::refused);
  EXPECT_EQ(parser.refusal().status, 413);
  EXPECT_LT(parser.memory_bytes(), 2 * 65536u + 8192u);
}

}  // namespace
}  // namespace postback::http
