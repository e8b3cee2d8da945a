// Reads one HTTP answer of a server that is ours or a peer: status line, Content-Length, body.
#pragma once

#include <cstddef>
#include <string_view>

namespace postback::load {

enum class Reading {
  kIncomplete,  // More bytes are needed.
  kComplete,
  kBroken,  // Not HTTP/1.1, or without Content-Length: the connection cannot be used further.
};

struct Answer {
  int status = 0;
  bool close = false;     // The server will close the connection.
  std::string_view body;  // Into the bytes given.
  size_t size = 0;        // Of head and body.
};

// Fills `answer` when the bytes hold a whole one at their beginning.
[[nodiscard]] Reading read_answer(std::string_view bytes, Answer* answer);

// The value of "status" at the beginning of a postback's answer; empty when there is none.
std::string_view status_word(std::string_view body);

}  // namespace postback::load
