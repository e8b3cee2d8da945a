// Requests that are accepted: what the parser says about them, and how it goes on.
#include "http/parser.h"

#include <gtest/gtest.h>

#include "split.h"

namespace postback::http {
namespace {

using Status = Parser::Status;

constexpr std::string_view kPostback =
    "GET /partner/involve/event?aff_sub=a%20b&conversion_id=conv001 HTTP/1.1\r\n"
    "Host: localhost:8000\r\n"
    "User-Agent:  curl/7.88.1 \t\r\n"
    "X-Empty:\r\n"
    "\r\n";

TEST(Parser, ReadsAPostback) {
  Fed fed(kPostback);
  ASSERT_EQ(fed.status, Status::request);
  const Request& request = fed.request();
  EXPECT_EQ(request.method, Method::get);
  EXPECT_EQ(request.method_name, "GET");
  EXPECT_EQ(request.target, "/partner/involve/event?aff_sub=a%20b&conversion_id=conv001");
  EXPECT_EQ(request.path, "/partner/involve/event");
  EXPECT_EQ(request.query, "aff_sub=a%20b&conversion_id=conv001");
  EXPECT_EQ(request.host, "localhost:8000");
  EXPECT_EQ(request.version_minor, 1);
  EXPECT_TRUE(request.keep_alive);
  EXPECT_EQ(request.body, "");
  ASSERT_EQ(request.headers.size(), 3u);
  EXPECT_EQ(request.headers[0].name, "Host");
  EXPECT_EQ(request.headers[1].name, "User-Agent");
  EXPECT_EQ(request.headers[1].value, "curl/7.88.1");
  EXPECT_EQ(request.headers[2].name, "X-Empty");
  EXPECT_EQ(request.headers[2].value, "");
  EXPECT_EQ(fed.rest, "");
}

TEST(Parser, IsTheSameForEverySplit) {
  const Outcomes all = outcomes_of(repeated(kPostback, 3));
  ASSERT_EQ(all.size(), 4u);
  EXPECT_EQ(all[0], all[2]);
  EXPECT_EQ(all[3], "idle");
}

TEST(Parser, BorrowsFromTheInputWhenItHoldsTheWholeRequest) {
  const std::string bytes =
      "POST /p HTTP/1.1\r\nHost: a\r\nContent-Type: x/y\r\nContent-Length: 5\r\n\r\nhello";
  Parser parser;
  std::string_view input = bytes;
  ASSERT_EQ(parser.feed(&input), Status::request);
  const auto lies_in_input = [&](std::string_view view) {
    return view.data() >= bytes.data() && view.data() + view.size() <= bytes.data() + bytes.size();
  };
  EXPECT_TRUE(lies_in_input(parser.request().target));
  EXPECT_TRUE(lies_in_input(parser.request().content_type));
  EXPECT_TRUE(lies_in_input(parser.request().headers[0].value));
  EXPECT_TRUE(lies_in_input(parser.request().body));
  EXPECT_EQ(parser.request().body, "hello");
}

TEST(Parser, KeepsViewsOfARequestWhoseFirstInputIsGone) {
  std::string head =
      "POST /p?q=1 HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Encoding: br\r\n"
      "Content-Length: 4\r\n\r\nab";
  Parser parser;
  std::string_view input = head;
  ASSERT_EQ(parser.feed(&input), Status::need_more);
  EXPECT_TRUE(input.empty());
  EXPECT_TRUE(parser.reading_body());
  head.assign(head.size(), '#');
  input = "cd";
  ASSERT_EQ(parser.feed(&input), Status::request);
  const Request& request = parser.request();
  EXPECT_EQ(request.method_name, "POST");
  EXPECT_EQ(request.target, "/p?q=1");
  EXPECT_EQ(request.path, "/p");
  EXPECT_EQ(request.query, "q=1");
  EXPECT_EQ(request.host, "a");
  EXPECT_EQ(request.content_type, "text/plain");
  EXPECT_EQ(request.content_encoding, "br");
  EXPECT_EQ(request.headers[3].name, "Content-Length");
  EXPECT_EQ(request.headers[3].value, "4");
  EXPECT_EQ(request.body, "abcd");
}

TEST(Parser, LeavesTheNextRequestInTheInput) {
  Fed fed("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_EQ(fed.status, Status::request);
  EXPECT_EQ(fed.request().target, "/1");
  EXPECT_EQ(fed.rest.substr(0, 6), "GET /2");
  ASSERT_EQ(fed.parser.feed(&fed.rest), Status::request);
  EXPECT_EQ(fed.request().target, "/2");
  EXPECT_TRUE(fed.rest.empty());
  EXPECT_EQ(fed.parser.feed(&fed.rest), Status::need_more);
  EXPECT_TRUE(fed.parser.idle());
}

// FAULTS row 46.
TEST(Parser, StopsAtTheMalformedOneOfTwentyPipelinedRequests) {
  const std::string good = "GET /p HTTP/1.1\r\nHost: a\r\n\r\n";
  const std::string bytes =
      repeated(good, 10) + "GET /p HTTP/1.1\r\nHost : a\r\n\r\n" + repeated(good, 9);
  EXPECT_EQ(request_count(bytes), 10u);
  EXPECT_EQ(refused_status(bytes), 400);
}

TEST(Parser, DoesNotGoOnAfterARefusal) {
  Fed fed("GARBAGE\r\n\r\nGET /p HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_EQ(fed.status, Status::refused);
  const Refusal first = fed.refusal();
  std::string_view input = "GET /p HTTP/1.1\r\nHost: a\r\n\r\n";
  EXPECT_EQ(fed.parser.feed(&input), Status::refused);
  EXPECT_EQ(fed.refusal().message, first.message);
}

TEST(Parser, ToleratesTwoEmptyLinesBeforeARequestAndNoMore) {
  const std::string request = "GET /p HTTP/1.1\r\nHost: a\r\n\r\n";
  EXPECT_EQ(request_count("\r\n\r\n" + request + "\r\n" + request), 2u);
  EXPECT_EQ(refused_status("\r\n\r\n\r\n" + request), 400);
  EXPECT_EQ(refused_status("\n" + request), 400);
}

TEST(Parser, IsIdleBetweenRequestsOnly) {
  Parser parser;
  EXPECT_TRUE(parser.idle());
  std::string_view input = "\r\n";
  EXPECT_EQ(parser.feed(&input), Status::need_more);
  EXPECT_TRUE(parser.idle()) << "an empty line is not a request's first byte";
  input = "G";
  EXPECT_EQ(parser.feed(&input), Status::need_more);
  EXPECT_FALSE(parser.idle());
  EXPECT_FALSE(parser.reading_body());
  input = "ET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n";
  EXPECT_EQ(parser.feed(&input), Status::need_more);
  EXPECT_TRUE(parser.reading_body());
  EXPECT_FALSE(parser.idle());
  input = "x";
  EXPECT_EQ(parser.feed(&input), Status::request);
  EXPECT_TRUE(parser.idle());
  EXPECT_FALSE(parser.reading_body());
}

TEST(Parser, NamesTheMethodsItKnows) {
  const std::pair<std::string, Method> methods[] = {
      {"GET", Method::get},         {"HEAD", Method::head},      {"POST", Method::post},
      {"PUT", Method::put},         {"DELETE", Method::delete_}, {"PATCH", Method::patch},
      {"OPTIONS", Method::options}, {"TRACE", Method::trace},    {"PROPFIND", Method::other},
      {"M-SEARCH", Method::other},
  };
  for (const auto& [name, method] : methods) {
    Fed fed(name + " /p HTTP/1.1\r\nHost: a\r\n\r\n");
    ASSERT_EQ(fed.status, Status::request) << name;
    EXPECT_EQ(fed.request().method, method) << name;
    EXPECT_EQ(fed.request().method_name, name);
  }
}

// FAULTS row 6.
TEST(Parser, ReturnsConnectAndParsesNothingBehindIt) {
  const std::string bytes =
      "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\nContent-Length: 2\r\n\r\n"
      "GET /p HTTP/1.1\r\nHost: a\r\n\r\n";
  Fed fed(bytes);
  ASSERT_EQ(fed.status, Status::request);
  EXPECT_EQ(fed.request().method, Method::connect);
  EXPECT_EQ(fed.request().path, "example.com:443");
  EXPECT_FALSE(fed.request().keep_alive);
  EXPECT_EQ(request_count(bytes), 1u);
}

TEST(Parser, IgnoresUpgrade) {
  const std::string bytes =
      "GET /p HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
      "POST /q HTTP/1.1\r\nHost: a\r\nConnection: upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
      "Content-Length: 2\r\n\r\nok"
      "GET /r HTTP/1.1\r\nHost: a\r\n\r\n";
  EXPECT_EQ(request_count(bytes), 3u);
}

// FAULTS row 7.
TEST(Parser, ReadsOptionsOfTheServer) {
  Fed fed("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_EQ(fed.status, Status::request);
  EXPECT_EQ(fed.request().path, "*");
}

// FAULTS row 9: finding a page is the router's business; the parser changes nothing.
TEST(Parser, DoesNotNormaliseThePath) {
  for (const std::string target :
       {"//partner", "/../partner", "/%2e%2e/x", "/a/./b", "/a;b", "/"}) {
    Fed fed("GET " + target + " HTTP/1.1\r\nHost: a\r\n\r\n");
    ASSERT_EQ(fed.status, Status::request) << target;
    EXPECT_EQ(fed.request().path, target);
  }
}

// FAULTS row 30, and the macros of row 37.
TEST(Parser, KeepsAQueryAsItCame) {
  for (const std::string query : {"a=%zz", "a=%", "a=%a", "{x}", "[x]", "!!!x!!!", "${x}", "a=b?c",
                                  "|`\"<>\\^", "", "%23x%23", "a==b&&=b"}) {
    Fed fed("GET /p?" + query + " HTTP/1.1\r\nHost: a\r\n\r\n");
    ASSERT_EQ(fed.status, Status::request) << query;
    EXPECT_EQ(fed.request().query, query);
  }
}

TEST(Parser, KeepsBytesBeyondAsciiInHeaderValues) {
  Fed fed("GET /p HTTP/1.1\r\nHost: a\r\nX-Name: \xe4\xb8\xad\t\xff\r\n\r\n");
  ASSERT_EQ(fed.status, Status::request);
  EXPECT_EQ(fed.request().headers[1].value, "\xe4\xb8\xad\t\xff");
}

bool keeps_alive(std::string_view version, std::string_view headers) {
  Fed fed("GET /p " + std::string(version) + "\r\nHost: a\r\n" + std::string(headers) + "\r\n");
  EXPECT_EQ(fed.status, Status::request);
  return fed.request().keep_alive;
}

// FAULTS row 3 is among them.
TEST(Parser, DecidesOnKeepAliveAsTheRfcSays) {
  EXPECT_TRUE(keeps_alive("HTTP/1.1", ""));
  EXPECT_FALSE(keeps_alive("HTTP/1.1", "Connection: close\r\n"));
  EXPECT_FALSE(keeps_alive("HTTP/1.1", "connection: x , CLOSE\r\n"));
  EXPECT_FALSE(keeps_alive("HTTP/1.1", "Connection: keep-alive\r\nConnection: close\r\n"));
  EXPECT_TRUE(keeps_alive("HTTP/1.1", "Connection: closed, not-close,,\r\n"));
  EXPECT_FALSE(keeps_alive("HTTP/1.0", ""));
  EXPECT_TRUE(keeps_alive("HTTP/1.0", "Connection: Keep-Alive\r\n"));
  EXPECT_FALSE(keeps_alive("HTTP/1.0", "Connection: keep-alive, close\r\n"));
}

TEST(Parser, SwallowsWhatComesBehindTheLastRequest) {
  const std::string bytes =
      "GET /1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
      "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n";
  EXPECT_EQ(request_count(bytes), 1u);
  EXPECT_EQ(outcomes_of(bytes).back(), "idle");
}

TEST(Parser, ReadsAnHttp10RequestWithoutHost) {
  Fed fed("GET /p HTTP/1.0\r\n\r\n");
  ASSERT_EQ(fed.status, Status::request);
  EXPECT_EQ(fed.request().version_minor, 0);
  EXPECT_EQ(fed.request().host, "");
  EXPECT_FALSE(fed.request().keep_alive);
}

// FAULTS row 10.
TEST(Parser, AcceptsAnAbsoluteTargetOfTheSameHost) {
  Fed fed("GET HTTP://Example.com:80/p?q=1 HTTP/1.1\r\nHost: example.COM:80\r\n\r\n");
  ASSERT_EQ(fed.status, Status::request);
  EXPECT_EQ(fed.request().path, "/p");
  EXPECT_EQ(fed.request().query, "q=1");
  Fed without_path("GET https://a?q=1 HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_EQ(without_path.status, Status::request);
  EXPECT_EQ(without_path.request().path, "/");
  EXPECT_EQ(without_path.request().query, "q=1");
}

TEST(Parser, ForgetsEverythingOnReset) {
  Parser parser;
  std::string_view input = "BAD\r\n";
  ASSERT_EQ(parser.feed(&input), Status::refused);
  parser.reset();
  EXPECT_TRUE(parser.idle());
  input = "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc";
  ASSERT_EQ(parser.feed(&input), Status::need_more);
  parser.reset();
  EXPECT_TRUE(parser.idle());
  EXPECT_FALSE(parser.reading_body());
  input = kPostback;
  ASSERT_EQ(parser.feed(&input), Status::request);
  EXPECT_EQ(parser.request().body, "");
}

TEST(Parser, HoldsBoundedMemoryAndGivesItBackOnReset) {
  const Limits limits;
  Parser parser;
  const size_t memory_bytes_at_rest = parser.memory_bytes();
  EXPECT_LT(memory_bytes_at_rest, 4096u);

  std::string bytes = "POST /" + std::string(8000, 'x') + " HTTP/1.1\r\nHost: a\r\n";
  for (int i = 0; i < 98; i++)
    bytes += "X" + std::to_string(i) + ": " + std::string(140, 'v') + "\r\n";
  bytes += "Content-Length: 65536\r\n\r\n";
  bytes += std::string(65536, 'b');
  size_t memory_bytes_max = 0;
  const Outcomes all = outcomes(&parser, bytes, [&] {
    memory_bytes_max = std::max(memory_bytes_max, parser.memory_bytes());
    return 7;
  });
  ASSERT_EQ(all.front().substr(0, 7), "request");
  // Buffers double as they grow, so they take at most twice what they hold.
  const size_t bound = 2 * (limits.request_line_bytes_max + limits.head_bytes_max +
                            limits.body_bytes_max + limits.header_count_max * 2 * sizeof(Header)) +
                       memory_bytes_at_rest;
  EXPECT_LT(memory_bytes_max, bound);
  parser.reset();
  EXPECT_LE(parser.memory_bytes(), memory_bytes_at_rest + 3 * 4096);
}

// Nothing but "identity" leaves the body as it is; any other coding counts, wherever it stands.
TEST(Parser, TellsTheContentEncodingThatChangesTheBody) {
  const auto coding_of = [](const std::string& headers) {
    Fed fed("GET /p HTTP/1.1\r\nHost: a\r\n" + headers + "\r\n");
    EXPECT_EQ(fed.status, Status::request);
    return std::string(fed.request().content_encoding);
  };
  for (const std::string same : {"identity", "IDENTITY", "Identity", "", " identity , IDENTITY",
                                 ",identity,", "\tidentity\t"}) {
    EXPECT_EQ(coding_of("Content-Encoding: " + same + "\r\n"), "") << same;
  }
  for (const std::string other : {"gzip", "identity, gzip", "identity;q=1", "identityx", "x"}) {
    EXPECT_EQ(coding_of("Content-Encoding: " + other + "\r\n"), other);
    EXPECT_EQ(coding_of("Content-Encoding: identity\r\nContent-Encoding: " + other + "\r\n"),
              other);
  }
}

}  // namespace
}  // namespace postback::http
