// Counts the allocations of this program while a parser and a response writer are at work.
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>
#include <string>

#include "http/parser.h"
#include "http/response.h"

namespace {

size_t allocation_count = 0;

void* counted(size_t size) {
  allocation_count++;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}

}  // namespace

void* operator new(size_t size) {
  return counted(size);
}
void* operator new[](size_t size) {
  return counted(size);
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete[](void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, size_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, size_t) noexcept {
  std::free(memory);
}

namespace postback::http {
namespace {

// Feeds `bytes`, which hold two requests, in pieces of that size.
size_t requests_of(Parser* parser, std::string_view bytes, size_t piece_bytes) {
  size_t count = 0;
  while (!bytes.empty()) {
    std::string_view input = bytes.substr(0, piece_bytes);
    bytes.remove_prefix(input.size());
    while (!input.empty()) {
      if (parser->feed(&input) == Parser::Status::request) count++;
    }
  }
  return count;
}

TEST(Allocations, AreNoneInSteadyState) {
  const std::string bytes =
      "GET /partner/involve/event?conversion_id=conv001&aff_sub=test123 HTTP/1.1\r\n"
      "Host: localhost:8000\r\nUser-Agent: test\r\nAccept: */*\r\nX-A: b\r\nX-C: d\r\n\r\n"
      "POST /partner/involve/event HTTP/1.1\r\nHost: localhost:8000\r\n"
      "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
      "10\r\n{\"conversion_id\"\r\n7;x=y\r\n:\"c01\"}\r\n0\r\nX-Trailer: t\r\n\r\n";
  Parser parser;
  DateText date;
  std::string out;
  const auto serve = [&](size_t piece_bytes) {
    const size_t count = requests_of(&parser, bytes, piece_bytes);
    out.clear();
    append_response(&out, {}, date.at(1'000'000), "{\"status\":\"success\"}");
    return count;
  };
  for (const size_t piece_bytes : {bytes.size(), size_t{100}, size_t{1}}) {
    ASSERT_EQ(serve(piece_bytes), 2u);  // Warm: buffers have their size.
    const size_t before = allocation_count;
    size_t count = 0;
    for (int i = 0; i < 500; i++) count += serve(piece_bytes);
    EXPECT_EQ(allocation_count - before, 0u) << "pieces of " << piece_bytes;
    EXPECT_EQ(count, 1000u);
  }
}

TEST(Allocations, AreNoneEvenForTheFirstRequestWhenItComesWhole) {
  Parser parser;
  std::string_view input = "GET /p?conversion_id=1 HTTP/1.1\r\nHost: localhost\r\n\r\n";
  const size_t before = allocation_count;
  EXPECT_EQ(parser.feed(&input), Parser::Status::request);
  EXPECT_EQ(allocation_count - before, 0u);
}

}  // namespace
}  // namespace postback::http
