// Heads that came before: what a parser makes of a request is the same whether it knows the head.
#include "http/known_heads.h"

#include <gtest/gtest.h>

#include <string>

#include "split.h"

namespace postback::http {
namespace {

constexpr std::string_view kStart = "GET /partner/a/event?";
constexpr std::string_view kRest =
    " HTTP/1.1\r\nHost: a.example:8000\r\nUser-Agent: curl/7.88.1\r\nContent-Type: text/x\r\n"
    "Content-Encoding: gzip\r\nAccept: */*\r\n\r\n";

std::string head(std::string_view query, std::string_view rest = kRest) {
  return std::string(kStart).append(query).append(rest);
}

class KnownHeadsTest : public testing::Test {
 protected:
  // Whether the head would be taken as it stands.
  bool knows(std::string_view bytes) {
    Request request;
    return known_.take(&bytes, &request);
  }
  void learn(const std::string& bytes) {
    Parser parser(&known_);
    std::string_view input = bytes;
    ASSERT_EQ(parser.feed(&input), Parser::Status::request);
  }
  // The same as of a parser that knows nothing.
  void expect_same(const std::string& bytes) {
    EXPECT_EQ(outcomes_known(bytes, &known_), outcomes_whole(bytes, known_.limits())) << bytes;
  }

  KnownHeads known_;
};

TEST_F(KnownHeadsTest, TakesAHeadThatCameBeforeWithAnotherQuery) {
  learn(head("id=1"));
  std::string bytes = head("id=2&a=b%20c&longer=than-sixteen-bytes") + "GET /next";
  ASSERT_TRUE(knows(bytes));
  Parser parser(&known_);
  std::string_view input = bytes;
  ASSERT_EQ(parser.feed(&input), Parser::Status::request);
  EXPECT_EQ(input, "GET /next");
  const Request& request = parser.request();
  EXPECT_EQ(request.method, Method::get);
  EXPECT_EQ(request.method_name, "GET");
  EXPECT_EQ(request.target, "/partner/a/event?id=2&a=b%20c&longer=than-sixteen-bytes");
  EXPECT_EQ(request.path, "/partner/a/event");
  EXPECT_EQ(request.query, "id=2&a=b%20c&longer=than-sixteen-bytes");
  EXPECT_EQ(request.host, "a.example:8000");
  EXPECT_EQ(request.content_type, "text/x");
  EXPECT_EQ(request.content_encoding, "gzip");
  EXPECT_EQ(request.body, "");
  EXPECT_TRUE(request.keep_alive);
  ASSERT_EQ(request.headers.size(), 5u);
  EXPECT_EQ(request.headers[4].name, "Accept");
  EXPECT_EQ(request.headers[4].value, "*/*");
  EXPECT_EQ(request.header_section, kRest.substr(11));
}

TEST_F(KnownHeadsTest, FindsTheEndOfQueriesOfEverySize) {
  // Behind the query comes much, or less than is looked at together.
  for (const std::string_view rest : {kRest, std::string_view(" HTTP/1.0\r\n\r\n")}) {
    learn(head("id=1", rest));
    for (size_t size = 0; size <= 70; ++size) {
      const std::string query(size, 'q');
      const std::string bytes = head(query, rest);
      Request request;
      std::string_view input = bytes;
      ASSERT_TRUE(known_.take(&input, &request)) << size;
      EXPECT_EQ(request.query, query);
      EXPECT_EQ(input, "");
      EXPECT_FALSE(knows(std::string_view(bytes).substr(0, kStart.size() + size))) << size;
      for (size_t i = 0; i < size; ++i) {
        std::string changed = bytes;
        changed[kStart.size() + i] = '#';
        EXPECT_FALSE(knows(changed)) << size << ", " << i;
      }
    }
  }
}

TEST_F(KnownHeadsTest, LeavesNothingToARequestBehindIt) {
  learn(head("id=1"));
  const std::string bytes = head("id=2") + "GET /other HTTP/1.1\r\nHost: b\r\n\r\n";
  Parser parser(&known_);
  std::string_view input = bytes;
  ASSERT_EQ(parser.feed(&input), Parser::Status::request);
  ASSERT_EQ(parser.feed(&input), Parser::Status::request);
  const Request& request = parser.request();
  EXPECT_EQ(request.path, "/other");
  EXPECT_EQ(request.query, "");
  EXPECT_EQ(request.host, "b");
  EXPECT_EQ(request.content_type, "");
  EXPECT_EQ(request.content_encoding, "");
  EXPECT_EQ(request.headers.size(), 1u);
}

TEST_F(KnownHeadsTest, ChangesNoOutcome) {
  learn(head("id=1"));
  const std::string known = head("id=2");
  expect_same(known + known + head("") + known);
  expect_same("\r\n\r\n" + known + "\r\n" + known);
  // Every single byte changed: what is not the same is worked out anew.
  for (size_t i = 0; i < known.size(); ++i) {
    for (const char c : {'\0', '\t', '\n', '\r', ' ', '#', '?', ':', 'x', '\x7f', '\x80'}) {
      std::string changed = known;
      changed[i] = c;
      expect_same(changed + known);
      learn(head("id=1"));
    }
  }
  // Cut anywhere, and gone on with in a second piece.
  for (size_t i = 1; i < known.size(); ++i) {
    Parser parser(&known_);
    size_t size = i;
    EXPECT_EQ(outcomes(&parser, known, [&] { return std::exchange(size, known.size()); }),
              outcomes_whole(known));
  }
}

TEST_F(KnownHeadsTest, ClosesBehindAHeadThatSaysSo) {
  const std::string closing = head("id=1", " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  learn(closing);
  EXPECT_TRUE(knows(closing));
  expect_same(closing + closing);
}

TEST_F(KnownHeadsTest, TellsVersionsAndSpacesApart) {
  learn(head("id=1", " HTTP/1.0\r\nHost: a\r\n\r\n"));
  for (const char* rest : {" HTTP/1.1\r\nHost: a\r\n\r\n", " HTTP/1.0\r\nHost:  a\r\n\r\n",
                           " HTTP/1.0\r\nHost: a \r\n\r\n", " HTTP/1.0\nHost: a\r\n\r\n"}) {
    EXPECT_FALSE(knows(head("id=1", rest)));
    expect_same(head("id=1", rest));
  }
}

TEST_F(KnownHeadsTest, DoesNotRememberBodiesNorOtherForms) {
  for (const std::string& bytes :
       {std::string("POST /partner/a?x=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"),
        std::string("GET http://a/partner/a?x=1 HTTP/1.1\r\nHost: a\r\n\r\n"),
        std::string("GET /partner/a HTTP/1.1\r\nHost: a\r\n\r\n"),
        std::string("GET /partner/a HTTP/1.1\r\nHost: a\r\nX: ?\r\n\r\n"),
        std::string("GET /partner/a?x=1 HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n")}) {
    learn(bytes);
    EXPECT_FALSE(knows(bytes)) << bytes;
    expect_same(bytes + bytes);
  }
}

TEST_F(KnownHeadsTest, KeepsTheLimitOfTheRequestLine) {
  learn(head("id=1"));
  const size_t line_bytes = head("").find('\r');
  const size_t room = known_.limits().request_line_bytes_max - line_bytes;
  EXPECT_TRUE(knows(head(std::string(room, 'x'))));
  EXPECT_FALSE(knows(head(std::string(room + 1, 'x'))));
  for (size_t size : {room - 1, room, room + 1, room + 2})
    expect_same(head(std::string(size, 'x')));
}

TEST_F(KnownHeadsTest, ForgetsTheOlderOfTwoHeads) {
  const auto with_agent = [](const char* agent) {
    return head("id=1", " HTTP/1.1\r\nHost: a\r\nUser-Agent: " + std::string(agent) + "\r\n\r\n");
  };
  learn(with_agent("one"));
  learn(with_agent("two"));
  EXPECT_TRUE(knows(with_agent("two")));
  EXPECT_TRUE(knows(with_agent("one")));
  learn(with_agent("three"));
  EXPECT_TRUE(knows(with_agent("one")));
  EXPECT_FALSE(knows(with_agent("two")));
}

}  // namespace
}  // namespace postback::http
