// One message in llhttp's hands: what llhttp says about the bytes given to it, as views into them.
// The only place that knows llhttp. Callers give it bytes that passed the guard.
//
// Thread: one. Does not move: llhttp points back to it.
#pragma once

#include <llhttp.h>

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "http/body_buffer.h"
#include "http/request.h"

namespace postback::http {

class Message {
 public:
  enum class Status {
    more,       // All taken; the message goes on.
    complete,   // The message ends exactly with these bytes.
    malformed,  // Or it ends before the end of these bytes.
  };

  Message();
  Message(const Message&) = delete;
  Message& operator=(const Message&) = delete;

  void start();  // A new message; memory is kept.

  // The whole head at once, then the body in any pieces, without chunk extensions and
  // trailer fields.
  Status parse_head(std::string_view head);
  Status parse(std::string_view piece);

  // All header fields were understood; what follows them may still be malformed.
  bool head_complete() const { return head_complete_; }
  // Why the head is malformed (static). Only after malformed.
  const Refusal& head_refusal() const;
  // Fills what the request line and the header fields say. Only when head_complete().
  void describe(Request* request) const;
  // The views given out so far lie in `from`; from now on they lie in the copy of it at `to`.
  void move_views(std::string_view from, const char* to);

  uint64_t chunk_bytes() const { return chunk_bytes_; }  // Of the last chunk-size line.

  std::string_view body() const { return body_.view(); }
  void keep_body() { body_.keep(); }

  void shrink(size_t bytes_max);
  size_t memory_bytes() const;

 private:
  static const llhttp_settings_t& settings();
  static Message& of(llhttp_t* parser) { return *static_cast<Message*>(parser->data); }

  Status parse_lines(std::string_view text);
  void on_name(std::string_view span);
  void on_value(std::string_view span);
  void on_value_complete();

  llhttp_t parser_;
  std::string_view method_name_;
  std::string_view target_;
  std::vector<Header> headers_;
  bool in_value_ = false;  // The next name begins a new header.
  bool head_complete_ = false;
  uint64_t chunk_bytes_ = 0;
  BodyBuffer body_;
};

// The view, moved along when it lies in `from` and that was copied to `to`.
std::string_view moved_view(std::string_view view, std::string_view from, const char* to);

}  // namespace postback::http
