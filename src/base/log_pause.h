// Keeps one message that may come again and again from flooding the log: the first is written, the
// next one ten seconds later at the earliest, with the number of those left out. Owned and used by
// one thread.
#pragma once

#include <cstdint>
#include <string>

namespace postback::base {

class LogPause {
 public:
  // Whether the message may be written now. Monotonic time.
  bool may_write(uint64_t now_ns) {
    if (written_ && now_ns - written_ns_ < kPauseNs) {
      ++left_out_;
      return false;
    }
    written_ = true;
    written_ns_ = now_ns;
    return true;
  }
  // " (and 12 times more since the last such line)", or nothing; begins to count anew.
  std::string take_left_out() {
    const uint64_t count = left_out_;
    left_out_ = 0;
    return count == 0 ? ""
                      : " (and " + std::to_string(count) + " times more since the last such line)";
  }

 private:
  static constexpr uint64_t kPauseNs = 10'000'000'000;
  bool written_ = false;
  uint64_t written_ns_ = 0;
  uint64_t left_out_ = 0;
};

}  // namespace postback::base
