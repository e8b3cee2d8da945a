// The rows that a lane's database has confirmed in the last seconds before its newest commit
// (FAILOVER_TAIL_S). An asynchronous standby that is promoted may lack them; then they go to the
// journal, and from there into the new primary, where each is stored or found under its row id.
//
// The rows are kept in memory, as records of the journal. Time counts to the newest commit: during
// an outage nothing grows old.
//
// Owner: the lane. Thread: its core's. Costs nothing where it is off.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "postback/conversion.h"

namespace postback::ingest {

class FailoverTail {
 public:
  // Beyond it the oldest rows are dropped, whatever their age.
  static constexpr size_t kBytesMax = 64 * 1024 * 1024;

  // `keep_ns` 0: off.
  explicit FailoverTail(uint64_t keep_ns) : keep_ns_(keep_ns) {}

  bool is_on() const { return keep_ns_ > 0; }
  void add(const Conversion& conversion, uint64_t now_ns);
  size_t byte_count() const { return byte_count_; }
  // Visits each row, oldest first, as a Conversion that is valid during the call; then there is
  // none. Returns their number.
  template <typename Visit>
  size_t take(Visit visit) {
    size_t count = 0;
    Conversion row;
    for (const Piece& piece : pieces_) {
      for (std::string_view rest = piece.records; next(&rest, &row); ++count) visit(row);
    }
    pieces_.clear();
    byte_count_ = 0;
    return count;
  }

 private:
  struct Piece {
    uint64_t time_ns = 0;
    std::string records;
  };
  // Takes a record off the front of `rest`; false when nothing is left.
  static bool next(std::string_view* rest, Conversion* row);

  const uint64_t keep_ns_;
  std::deque<Piece> pieces_;
  size_t byte_count_ = 0;
};

}  // namespace postback::ingest
