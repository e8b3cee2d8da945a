// Reads all frames of a journal in order, over all its segments, and judges what is not a frame by
// the recovery table of FORMAT.md. Changes nothing. Blocking; one thread at a time; memory: one
// frame.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "journal/checkpoint.h"
#include "journal/segment_scan.h"

namespace postback::journal {

// Acknowledged data that is not there any more.
struct Gap {
  uint64_t segment = 0;  // Where it stood, or the segment before which it is missing.
  uint64_t offset = 0;
  uint64_t bytes = 0;      // 0: there is no place, only missing frames.
  uint64_t first_lsn = 0;  // Frames that are lost, wholly or in part; 0: none (a header copy).
  uint64_t last_lsn = 0;
  std::optional<uint64_t> records;  // How many are lost, when it can be told.
  bool drained = false;             // The checkpoint says that they were in the databases already.
  // A negative errno when the disk did not read the place; it may do so another time. 0: it did.
  int read_error = 0;
  std::string reason;
};

// Bytes at the end of a segment that were never acknowledged: a write that a crash cut off.
struct TornTail {
  uint64_t segment = 0;
  uint64_t offset = 0;
  uint64_t bytes = 0;
};

enum class Read : uint8_t {
  frame,    // frame() and records().
  gap,      // gap(); records() holds what could be saved of a damaged frame, perhaps nothing.
  torn,     // torn()
  stale,    // torn(): bytes of another segment behind the end; they mean nothing.
  segment,  // segment() was opened; told once for each that is not skipped.
  end,
  failed,  // status(): the journal cannot be judged (a disk that does not read, an unknown
           // version).
};

struct FrameReaderOptions {
  Disk* disk = nullptr;
  std::string folder;
  std::vector<uint64_t> segments;  // Ascending.
  Checkpoint checkpoint;           // Missing frames that it covers are no gap.
  // With a checkpoint that was really read, frames missing in front of the first segment are told.
  bool checkpoint_known = false;
  // Segments that end before this frame are skipped.
  uint64_t first_lsn = 1;
  // Nothing behind this frame is looked at: the writer may be about to write there.
  uint64_t last_lsn = UINT64_MAX;
};

class FrameReader {
 public:
  explicit FrameReader(FrameReaderOptions options);

  // After end or failed: the same again.
  Read next();

  const FrameHeader& frame() const { return step_.header; }
  uint64_t offset() const { return step_.offset; }
  uint64_t segment() const { return current_number_; }
  const OpenSegment& open() const { return *open_; }
  // Valid until next().
  const std::vector<FrameRecord>& records() const { return records_; }
  // Which frame records() belongs to, after frame and gap.
  uint64_t records_lsn() const { return step_.header.lsn; }
  const Gap& gap() const { return gap_; }
  const TornTail& torn() const { return torn_; }
  const base::Status& status() const { return status_; }

 private:
  Read open_next();
  Read take_frame();
  Read judge();
  Read judge_end();
  bool frames_are_missing();
  std::optional<uint64_t> records_until(const FrameHeader& header) const;
  void set_gap(uint64_t first_lsn, uint64_t last_lsn, const char* reason);
  bool find_following(FrameHeader* following);
  void skip_to_start();
  Read fail(base::Status status);

  const FrameReaderOptions options_;
  size_t next_segment_ = 0;
  uint64_t current_number_ = 0;
  std::unique_ptr<OpenSegment> open_;
  std::optional<SegmentScan> scan_;
  std::string payload_;
  std::vector<FrameRecord> records_;
  ScanStep step_;
  bool step_waits_ = false;    // A missing range was reported before the frame in step_.
  uint64_t expected_lsn_ = 0;  // 0: any.
  // How many records were acknowledged before the next frame, as far as is known.
  std::optional<uint64_t> expected_records_;
  Gap gap_;
  TornTail torn_;
  base::Status status_;
  bool ended_ = false;
  bool failed_ = false;
};

}  // namespace postback::journal
