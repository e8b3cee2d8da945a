// Gathers consecutive lines of a byte stream into contiguous text: without a copy while they lie
// in one input, in memory of its own once they come in several. Every byte is looked at once and
// copied at most once (amortised), however small the pieces are.
//
// Thread: one. Lifetime: the views borrow from the input or from the gatherer; keep() detaches
// them from the input, clear() and the next take() end them.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace postback::http {

class LineGatherer {
 public:
  enum class Status {
    need_more,  // *input is used up, the line goes on.
    line,       // line() is complete; *input stands behind its LF.
    too_long,   // Its first bytes_max bytes are taken, and the next one is not an LF.
  };

  // Adds a line, or a part of one, from the front of *input. bytes_max: how many bytes may stand
  // before the line's LF. As long as text is borrowed, *input must go on where it last stopped.
  Status take(std::string_view* input, size_t bytes_max);

  // The last line, with its LF. Before it is complete, the part that has come.
  std::string_view line() const { return text().substr(line_start_); }
  // All lines since clear().
  std::string_view text() const {
    return {borrowed_ != nullptr ? borrowed_ : owned_.data(), size_};
  }
  bool empty() const { return size_ == 0; }
  bool borrows() const { return borrowed_ != nullptr; }

  // Copies what is borrowed: the input goes away.
  void keep();
  // Forgets all lines; the memory is kept for the next.
  void clear();
  // Gives memory back beyond `bytes_max`. Only after clear().
  void shrink(size_t bytes_max);
  size_t memory_bytes() const { return owned_.capacity(); }

 private:
  std::string owned_;
  const char* borrowed_ = nullptr;  // Into the input of this turn; null: the text is in owned_.
  size_t size_ = 0;
  size_t line_start_ = 0;
  bool line_complete_ = false;
};

}  // namespace postback::http
