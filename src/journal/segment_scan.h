// Walks through one segment: its frames, its bad places, its end. Bounded: every step moves
// forward, nothing is allocated but one frame's payload, whose length the header's CRC vouches for.
// Says what is there; whether it was acknowledged is for FrameReader to judge.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "journal/frame.h"
#include "journal/segment.h"

namespace postback::journal {

enum class Scan : uint8_t {
  frame,          // A valid one.
  damaged_frame,  // Its header is valid, its payload is not.
  bad_bytes,      // No valid frame header; up to the next one, or to the last byte not zero.
  stale_bytes,    // A valid frame of another segment (wrong salt); nothing of ours behind it.
  end,            // Nothing but zeros, or the end of the file.
};

struct ScanStep {
  Scan kind = Scan::end;
  uint64_t offset = 0;
  uint64_t bytes = 0;        // That the frame or the bad place takes.
  FrameHeader header;        // frame, damaged_frame.
  std::string_view payload;  // frame, damaged_frame; valid until the next step.
  // A valid frame of this segment follows, so what stands before it had been synced: one frame is
  // written at a time.
  bool frame_follows = false;  // damaged_frame, bad_bytes.
  int read_error = 0;          // Negative errno: the disk did not give some of the bytes.
};

class SegmentScan {
 public:
  // `segment` has a valid header and outlives the scan. `payload` is scratch memory, reused.
  SegmentScan(OpenSegment* segment, std::string* payload);
  // After stale_bytes or end always end.
  ScanStep next();
  // The header of the frame that next() will return; false when it will return none.
  bool peek(FrameHeader* header) const;

 private:
  struct Ahead {
    bool frame_found = false;
    uint64_t frame_offset = 0;
    bool all_zero = true;
    uint64_t last_nonzero = 0;  // Offset.
    int read_error = 0;
  };
  bool frame_at(uint64_t offset, const char* bytes, FrameHeader* header) const;
  Ahead look_ahead(uint64_t offset);
  ScanStep read_frame(const FrameHeader& header);
  ScanStep read_bad(bool stale, int read_error);

  OpenSegment* const segment_;
  std::string* const payload_;
  const uint64_t end_;  // Of the file, or of the segment where the file is longer.
  uint64_t offset_ = kFramesOffset;
  uint64_t last_lsn_ = 0;
};

}  // namespace postback::journal
