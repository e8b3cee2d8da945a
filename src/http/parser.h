// Incremental HTTP/1.x request parser: llhttp compiled strict, behind a guard that refuses what
// llhttp lets pass (folded headers, bare LF, missing Host, ambiguous lengths …). Bounded memory;
// one parser per connection, reused for all its requests without allocation in steady state.
//
// Thread: one at a time. Never fails on any bytes: every input ends in a request or a refusal.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include "http/request.h"

namespace postback::http {

struct Limits {
  size_t request_line_bytes_max = 8 * 1024;
  size_t header_bytes_max = 8 * 1024;  // One header field.
  size_t head_bytes_max = 16 * 1024;   // All header fields.
  size_t header_count_max = 100;
  size_t body_bytes_max = 64 * 1024;
  size_t chunk_extension_bytes_max = 1024;  // Of one request.
};

class KnownHeads;

class Parser {
 public:
  enum class Status {
    need_more,        // *input is used up; the request goes on.
    request,          // request() is complete; the rest of *input belongs to the next one.
    expect_continue,  // Send "HTTP/1.1 100 Continue", then feed on. At most once per request.
    refused,          // refusal() says why. The connection must close; feed() is not called again.
  };

  explicit Parser(const Limits& limits = {});
  // With the limits of `known`, which outlives the parser: heads that it knows are not parsed
  // again, and it is told of new ones. What comes out is the same.
  explicit Parser(KnownHeads* known);
  ~Parser();
  Parser(const Parser&) = delete;
  Parser& operator=(const Parser&) = delete;

  // Takes bytes off the front of *input, up to the end of one request. The bytes of *input must
  // stay in place while request() is used, and no parser with the same KnownHeads is fed meanwhile.
  // Behind a request without keep_alive (so behind CONNECT too) nothing is parsed: what still comes
  // is swallowed with need_more.
  Status feed(std::string_view* input);
  const Request& request() const;
  const Refusal& refusal() const;

  // No byte of a request has come since the last one (or since the start): an idle connection.
  bool idle() const;
  // The head of the current request is complete: the body's deadline counts now.
  bool reading_body() const;
  // Ready for a new connection: forgets everything, gives back large buffers.
  void reset();
  // Bytes of memory held, for the connection's account.
  size_t memory_bytes() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace postback::http
