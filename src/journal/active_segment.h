// The segment that takes frames. Owner and thread: the writer's.
#pragma once

#include <memory>
#include <string>

#include "base/status.h"
#include "journal/disk.h"
#include "journal/frame.h"
#include "journal/segment.h"

namespace postback::journal {

class ActiveSegment {
 public:
  ActiveSegment(std::unique_ptr<File> file, const SegmentHeader& header)
      : file_(std::move(file)), header_(header) {
    summary_.number = header.number;
    summary_.bytes = header.segment_bytes;
  }

  // The largest payload that an empty segment of this size takes in one frame.
  static size_t payload_bytes_max(uint64_t segment_bytes);
  bool fits(size_t payload_bytes) const;

  // Writes and syncs one frame. `frame`: kFrameHeaderBytes of room, then the payload; padded here.
  // lsn, durable_lsn, durable_records, record_count and written_at_us of `header` are the caller's.
  // After an error the segment must be dropped: it is never synced again.
  base::Status commit(FrameHeader header, std::string* frame);

  // False: its file was removed, so that no frame of it would be found.
  bool has_name() const { return file_->has_name(); }
  bool empty() const { return summary_.first_lsn == 0; }
  // Of the frames that were committed.
  const SegmentSummary& summary() const { return summary_; }

 private:
  void summarize(uint64_t lsn, std::string_view payload);

  std::unique_ptr<File> file_;
  const SegmentHeader header_;
  uint64_t offset_ = kFramesOffset;
  uint64_t previous_offset_ = 0;
  bool poisoned_ = false;
  SegmentSummary summary_;
};

}  // namespace postback::journal
