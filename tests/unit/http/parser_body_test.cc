// Bodies: Content-Length, the chunked coding, trailers and 100 Continue.
#include <gtest/gtest.h>

#include <string>

#include "split.h"

namespace postback::http {
namespace {

using Status = Parser::Status;

std::string chunked(std::string_view body) {
  return "POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n" + std::string(body);
}

std::string body_of(std::string_view bytes) {
  Fed fed(bytes);
  EXPECT_EQ(fed.status, Status::request);
  EXPECT_EQ(fed.rest, "");
  EXPECT_EQ(request_count(bytes), 1u);
  return std::string(fed.request().body);
}

int status_of_chunked(std::string_view body) {
  const std::string bytes = chunked(body) + "GET /next HTTP/1.1\r\nHost: a\r\n\r\n";
  EXPECT_EQ(request_count(bytes), 0u) << body;
  return refused_status(bytes);
}

TEST(ParserBody, IsReadByContentLength) {
  EXPECT_EQ(body_of("POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"), "hello");
  EXPECT_EQ(body_of("POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: \t005 \r\n\r\nhello"), "hello");
  EXPECT_EQ(body_of("POST /p HTTP/1.0\r\nContent-Length: 2\r\n\r\n\r\n"), "\r\n");
  EXPECT_EQ(body_of("POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"), "");
  EXPECT_EQ(body_of("GET /p HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n{"), "{");
  EXPECT_EQ(body_of("POST /p HTTP/1.1\r\nHost: a\r\n\r\n"), "");
}

TEST(ParserBody, IsFollowedByTheNextRequest) {
  const std::string one = "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
  EXPECT_EQ(request_count(one + "\r\n" + one + chunked("5\r\nhello\r\n0\r\n\r\n") + one), 4u);
}

// Row 20.
TEST(ParserBody, OverTheLimitIsRefusedBeforeItComes) {
  const std::string head = "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: ";
  EXPECT_EQ(refused_status(head + "65537\r\n\r\n"), 413);
  EXPECT_EQ(refused_status(head + "18446744073709551615\r\n\r\n"), 400) << "over 19 digits";
  EXPECT_EQ(refused_status(head + "9999999999999999999\r\n\r\n"), 413);
  EXPECT_EQ(body_of(head + "65536\r\n\r\n" + std::string(65536, 'b')).size(), 65536u);
  EXPECT_EQ(refused_status(chunked("10001\r\n")), 413);
  EXPECT_EQ(refused_status(chunked("FFFFFFFFFFFFFFFF\r\n")), 413);
  EXPECT_EQ(refused_status(chunked("8000\r\n" + std::string(0x8000, 'b') + "\r\n8001\r\n")), 413);
  EXPECT_EQ(body_of(chunked("8000\r\n" + std::string(0x8000, 'b') + "\r\n8000\r\n" +
                            std::string(0x8000, 'b') + "\r\n0\r\n\r\n"))
                .size(),
            65536u);
}

TEST(ParserBody, IsPutTogetherFromChunks) {
  EXPECT_EQ(body_of(chunked("0\r\n\r\n")), "");
  EXPECT_EQ(body_of(chunked("5\r\nhello\r\n0\r\n\r\n")), "hello");
  EXPECT_EQ(body_of(chunked("5\r\nhello\r\n01\r\n \r\nA\r\n0123456789\r\n000\r\n\r\n")),
            "hello 0123456789");
  EXPECT_EQ(body_of(chunked("2\r\n\r\n\r\n0\r\n\r\n")), "\r\n");
}

TEST(ParserBody, OfOneChunkIsNotCopied) {
  const std::string bytes = chunked("5\r\nhello\r\n0\r\n\r\n");
  Parser parser;
  std::string_view input = bytes;
  ASSERT_EQ(parser.feed(&input), Status::request);
  EXPECT_EQ(parser.request().body.data(), bytes.data() + bytes.find("hello"));
}

// Row 18.
TEST(ParserBody, WithABadChunkSizeIsRefused) {
  for (const std::string body :
       {"\r\n", "x\r\n", "0x5\r\nhello\r\n", "-5\r\nhello\r\n", "+5\r\nhello\r\n",
        "5 \r\nhello\r\n", " 5\r\nhello\r\n", "5\t\r\nhello\r\n", "5\nhello\r\n", "5\r\rhello\r\n",
        "5\rXhello\r\n", "10000000000000000\r\n", "00000000000000005\r\nhello\r\n",
        "5,5\r\nhello\r\n", "5g\r\nhello\r\n", "5h\r\nhello\r\n", ";a\r\nhello\r\n"}) {
    EXPECT_EQ(status_of_chunked(body), 400) << body;
  }
}

TEST(ParserBody, WhoseChunkDoesNotEndInCrlfIsRefused) {
  for (const std::string body :
       {"5\r\nhelloX\r\n0\r\n\r\n", "5\r\nhello0\r\n\r\n", "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello\r0\r\n\r\n", "4\r\nhello\r\n0\r\n\r\n", "6\r\nhello\r\n0\r\n\r\n", "0\r\n\n",
        "0\n\r\n"}) {
    EXPECT_EQ(status_of_chunked(body), 400) << body;
  }
}

TEST(ParserBody, MayHaveChunkExtensionsUpToTheLimit) {
  EXPECT_EQ(body_of(chunked("5;a=b;c=\"d e\"\r\nhello\r\n0;x\r\n\r\n")), "hello");
  const std::string extension_512 = ";" + std::string(511, 'e');
  EXPECT_EQ(body_of(chunked("5" + extension_512 + "\r\nhello\r\n0" + extension_512 + "\r\n\r\n")),
            "hello");
  EXPECT_EQ(status_of_chunked("5" + extension_512 + "\r\nhello\r\n0" + extension_512 + "e\r\n\r\n"),
            400);
  EXPECT_EQ(status_of_chunked("5;" + std::string(1024, 'e') + "\r\nhello\r\n0\r\n\r\n"), 400);
  EXPECT_EQ(refused_status(chunked("5;" + std::string(900'000, 'e'))), 400);
  EXPECT_EQ(status_of_chunked("5;a\x01\r\nhello\r\n0\r\n\r\n"), 400);
  EXPECT_EQ(status_of_chunked("5;a=b\nhello\r\n0\r\n\r\n"), 400);
}

TEST(ParserBody, MayHaveChunkExtensionsOfEveryFormThatTheRfcKnows) {
  for (const std::string extensions :
       {";a", ";a=b", ";a=\"\"", ";a=\"x;y=z \\\" \t\xe9\"", ";a;b=c;d=\"e\"", " ; a = b",
        "\t;\ta\t=\t\"b\" ;c", ";!#$%&'*+-.^_`|~=1"}) {
    EXPECT_EQ(body_of(chunked("5" + extensions + "\r\nhello\r\n0" + extensions + "\r\n\r\n")),
              "hello")
        << extensions;
  }
}

// Another server may read them differently, and so disagree on where the chunk ends.
TEST(ParserBody, WithMalformedChunkExtensionsIsRefused) {
  for (const std::string extensions :
       {";",       ";;a",  ";a;",    ";a ",    ";a=",      ";a=;b",      ";=b",
        ";bad[=x", ";a b", ";a=b c", ";a=b=c", ";a=\"b",   ";a=\"b\\\"", ";a=\"b\"c",
        ";a=[b]",  ";a,b", " a",     " ;",     ";\"a\"=b", ";a=b\t"}) {
    EXPECT_EQ(status_of_chunked("5" + extensions + "\r\nhello\r\n0\r\n\r\n"), 400) << extensions;
    EXPECT_EQ(status_of_chunked("5\r\nhello\r\n0" + extensions + "\r\n\r\n"), 400) << extensions;
  }
}

// Row 19.
TEST(ParserBody, MayHaveTrailersWhichAreIgnored) {
  const std::string bytes = chunked(
      "5\r\nhello\r\n0\r\nX-Trailer: t\r\nHost: b\r\nContent-Length: 7\r\n"
      "Transfer-Encoding: gzip\r\nConnection: close\r\nExpect: x\r\n\r\n");
  Fed fed(bytes);
  ASSERT_EQ(fed.status, Status::request);
  EXPECT_EQ(fed.request().body, "hello");
  EXPECT_EQ(fed.request().headers.size(), 2u);
  EXPECT_EQ(fed.request().host, "a");
  EXPECT_TRUE(fed.request().keep_alive);
  EXPECT_EQ(request_count(bytes + bytes), 2u);
}

TEST(ParserBody, WithMalformedTrailersIsRefused) {
  for (const std::string trailer :
       {"X : a\r\n", ": a\r\n", "X: a\r\n b\r\n", "X: a\nY: b\r\n", "X\r\n", "X: a\x01\r\n",
        "X: a\rb\r\n", " X: a\r\n", "\rX: a\r\n"}) {
    EXPECT_EQ(status_of_chunked("5\r\nhello\r\n0\r\n" + trailer + "\r\n"), 400) << trailer;
  }
}

TEST(ParserBody, WithTooLargeTrailersIsRefused) {
  const std::string start = "5\r\nhello\r\n0\r\n";
  EXPECT_EQ(status_of_chunked(start + "X: " + std::string(8190, 't') + "\r\n\r\n"), 431);
  EXPECT_EQ(body_of(chunked(start + "X: " + std::string(8189, 't') + "\r\n\r\n")), "hello");
  EXPECT_EQ(status_of_chunked(start + repeated("X: t\r\n", 101) + "\r\n"), 431);
  EXPECT_EQ(body_of(chunked(start + repeated("X: t\r\n", 100) + "\r\n")), "hello");
  const std::string field_1k = "X: " + std::string(1019, 't') + "\r\n";
  EXPECT_EQ(body_of(chunked(start + repeated(field_1k, 16) + "\r\n")), "hello");
  EXPECT_EQ(status_of_chunked(start + repeated(field_1k, 16) + "X:\r\n\r\n"), 431);
}

// RFC 9112 section 5.1: spaces and tabs around a field's value do not belong to it.
TEST(ParserBody, HasTheLengthThatItsHeaderSaysWhateverWhiteSpaceIsAroundTheValue) {
  for (const std::string before : {"", " ", "\t", " \t ", "\t\t"}) {
    for (const std::string after : {"", " ", "\t", " \t", "\t ", "\t\t \t"}) {
      const std::string start = "POST /p?a=b HTTP/1.1\r\nX: a\tb\t\r\nY:\t\r\nHost: a\r\n";
      const std::string next = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n";
      const std::string length = start + "Content-Length:" + before + "5" + after + "\r\n\r\nhello";
      EXPECT_EQ(body_of(length), "hello") << before << '|' << after;
      EXPECT_EQ(request_count(length + next), 2u);
      const std::string coding = start + "Transfer-Encoding:" + before + "chunked" + after +
                                 "\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
      EXPECT_EQ(body_of(coding), "hello") << before << '|' << after;
      EXPECT_EQ(request_count(coding + next), 2u);
    }
  }
}

TEST(ParserBody, KeepsATabInsideAFieldsValue) {
  Fed fed("GET /p HTTP/1.1\r\nHost:\ta\t\r\nX:\t a\tb \t\r\nY:\t\r\n\r\n");
  ASSERT_EQ(fed.status, Status::request);
  EXPECT_EQ(fed.request().host, "a");
  ASSERT_EQ(fed.request().headers.size(), 3u);
  EXPECT_EQ(fed.request().headers[1].value, "a\tb");
  EXPECT_EQ(fed.request().headers[2].value, "");
}

// A tab that stands elsewhere than around the value is not white space of the grammar.
TEST(ParserBody, WithATabInsideTheLengthOrTheCodingIsRefused) {
  for (const std::string header :
       {"Content-Length: 5\t5", "Content-Length\t: 5", "Transfer-Encoding: chun\tked",
        "Transfer-Encoding\t: chunked", "Content-Length: \t"}) {
    EXPECT_EQ(refused_status("POST /p HTTP/1.1\r\nHost: a\r\n" + header + "\r\n\r\nhello"), 400)
        << header;
  }
}

// Row 21: that silence follows is the server's to notice.
TEST(ParserBody, ShorterThanPromisedIsWaitedFor) {
  const Outcomes all = outcomes_of("POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhell");
  EXPECT_EQ(all, Outcomes{"in a body"});
  EXPECT_EQ(outcomes_of(chunked("5\r\nhello\r\n0\r\nX: t\r\n")), Outcomes{"in a body"});
}

// Row 23.
TEST(ParserBody, IsAskedForOnceWhenTheClientWaitsForThat) {
  Parser parser;
  std::string_view input =
      "POST /p HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 5\r\n\r\n";
  ASSERT_EQ(parser.feed(&input), Status::expect_continue);
  EXPECT_TRUE(input.empty());
  EXPECT_TRUE(parser.reading_body());
  input = "he";
  EXPECT_EQ(parser.feed(&input), Status::need_more);
  input = "llo";
  ASSERT_EQ(parser.feed(&input), Status::request);
  EXPECT_EQ(parser.request().body, "hello");
  input =
      "POST /p HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n";
  ASSERT_EQ(parser.feed(&input), Status::expect_continue) << "once per request";
}

TEST(ParserBody, IsNotAskedForWhenItIsThereAlreadyOrThereIsNone) {
  EXPECT_EQ(Fed("POST /p HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
                "hello")
                .status,
            Status::request);
  EXPECT_EQ(Fed("GET /p HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n").status,
            Status::request);
  EXPECT_EQ(Fed("POST /p HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
                .status,
            Status::need_more)
      << "HTTP/1.0 does not know the answer 100";
}

// Row 24: refusing it is the server's; the parser says what it is.
TEST(ParserBody, IsReturnedWithItsContentEncoding) {
  Fed fed("POST /p HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx");
  ASSERT_EQ(fed.status, Status::request);
  EXPECT_EQ(fed.request().content_encoding, "gzip");
}

}  // namespace
}  // namespace postback::http
