// Ids of rows, made by the server (a sequence would be a round trip and cannot be distributed):
// microseconds since 2020, and 12 bits that tell writers apart which hit the same microsecond.
// Positive until 2091. Grows with time and strictly within one lane.
#pragma once

#include <cstdint>

namespace postback::ingest {

class RowIds {
 public:
  // `writer`: its low 12 bits are used.
  explicit RowIds(int64_t writer) : writer_bits_(writer & kWriterMask) {}

  int64_t next(int64_t wall_us) {
    int64_t tick = wall_us - kEpochUs;
    if (tick <= last_tick_) tick = last_tick_ + 1;  // Same microsecond, or a clock set back.
    last_tick_ = tick;
    return (tick << kWriterBits) | writer_bits_;
  }

  // The id to take when another row has `id`: of the same time, and with the bits of another
  // writer. It follows from `id` alone, so a row that is stored once more, from the journal after a
  // crash, finds itself.
  static constexpr int64_t next_to(int64_t id) { return id + 1; }

  // The lowest id that a postback received at that time can have. Those received before have lower
  // ones, unless the clock was set back then.
  static constexpr int64_t first_of(int64_t wall_us) {
    return wall_us <= kEpochUs ? 0 : (wall_us - kEpochUs) * kIdsPerUs;
  }
  static constexpr int64_t kIdsPerUs = int64_t{1} << 12;

 private:
  static constexpr int kWriterBits = 12;
  static constexpr int64_t kWriterMask = (int64_t{1} << kWriterBits) - 1;
  static constexpr int64_t kEpochUs = 1'577'836'800'000'000;  // 2020-01-01T00:00:00Z

  int64_t writer_bits_;
  int64_t last_tick_ = 0;
};

}  // namespace postback::ingest
