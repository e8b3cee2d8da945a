#include "journal/frame_reader.h"

#include <algorithm>

namespace postback::journal {

FrameReader::FrameReader(FrameReaderOptions options) : options_(std::move(options)) {
  if (options_.checkpoint_known) expected_lsn_ = options_.checkpoint.floor.lsn;
  skip_to_start();
}

Read FrameReader::fail(base::Status status) {
  status_ = std::move(status);
  failed_ = true;
  return Read::failed;
}

Read FrameReader::next() {
  records_.clear();
  if (failed_) return Read::failed;
  while (!ended_) {
    if (step_waits_) {
      step_waits_ = false;
      return take_frame();
    }
    // Behind the last frame the writer may be writing.
    if (expected_lsn_ > options_.last_lsn) break;
    if (!scan_.has_value()) {
      if (next_segment_ == options_.segments.size()) break;
      return open_next();
    }
    step_ = scan_->next();
    if (step_.kind == Scan::end) {
      scan_.reset();
    } else if (step_.kind != Scan::frame && step_.kind != Scan::damaged_frame) {
      return judge();
    } else if (step_.header.lsn > options_.last_lsn) {
      break;
    } else if (frames_are_missing()) {
      step_waits_ = true;
      return Read::gap;
    } else {
      return take_frame();
    }
  }
  ended_ = true;
  return Read::end;
}

void FrameReader::set_gap(uint64_t first_lsn, uint64_t last_lsn, const char* reason) {
  gap_ = Gap();
  gap_.segment = current_number_;
  gap_.offset = step_.offset;
  gap_.bytes = step_.bytes;
  gap_.first_lsn = first_lsn;
  gap_.last_lsn = last_lsn;
  gap_.drained = first_lsn != 0 && options_.checkpoint.covers(first_lsn, last_lsn);
  gap_.reason = reason;
}

Read FrameReader::open_next() {
  current_number_ = options_.segments[next_segment_++];
  base::Result<OpenSegment> opened = open_segment(options_.disk, options_.folder, current_number_);
  if (!opened.ok()) return fail(opened.status());
  open_ = std::make_unique<OpenSegment>(opened.take());
  if (open_->header_valid) {
    scan_.emplace(open_.get(), &payload_);
    return Read::segment;
  }
  // Without a salt its frames cannot be told from stale ones. Which of them are missing is told
  // when the next frame is found; here is where to look for them.
  step_ = ScanStep();
  step_.bytes = open_->file_bytes;
  set_gap(0, 0, "both copies of the segment's header are damaged");
  return Read::gap;
}

// Whether acknowledged frames should stand in front of the frame in step_, but do not.
bool FrameReader::frames_are_missing() {
  const FrameHeader& header = step_.header;
  if (expected_lsn_ == 0 || header.durable_lsn < expected_lsn_) return false;
  const uint64_t first = expected_lsn_;
  expected_lsn_ = header.lsn;
  set_gap(first, header.durable_lsn, "acknowledged frames are missing in front of this place");
  gap_.bytes = 0;
  gap_.records = records_until(header);
  // Drained and deleted: that is how it should be.
  return !gap_.drained;
}

// How many acknowledged records should stand between the last frame and this one.
std::optional<uint64_t> FrameReader::records_until(const FrameHeader& header) const {
  if (gap_.first_lsn == 1) return header.durable_records;  // From the very first frame on.
  if (!expected_records_.has_value() || header.durable_records < *expected_records_) {
    return std::nullopt;
  }
  return header.durable_records - *expected_records_;
}

// step_ holds a frame, whole or damaged.
Read FrameReader::take_frame() {
  const FrameHeader& header = step_.header;
  if (step_.kind == Scan::damaged_frame) return judge();
  split_payload(step_.payload, header.record_count, &records_);
  expected_lsn_ = header.lsn + 1;
  expected_records_ = header.durable_records + header.record_count;
  if (records_.size() == header.record_count) return Read::frame;
  // The payload is what was written, but not all of it are records: a fault of the writer.
  set_gap(header.lsn, header.lsn, "the frame holds bytes that are not records");
  gap_.records = header.record_count - records_.size();
  return Read::gap;
}

// The header of the first valid frame in the segments behind the current one.
bool FrameReader::find_following(FrameHeader* following) {
  std::string scratch;
  for (size_t i = next_segment_; i < options_.segments.size(); ++i) {
    base::Result<OpenSegment> opened =
        open_segment(options_.disk, options_.folder, options_.segments[i]);
    if (!opened.ok() || !opened.value().header_valid) continue;
    SegmentScan scan(&opened.value(), &scratch);
    for (ScanStep step = scan.next(); step.kind != Scan::end; step = scan.next()) {
      if (step.kind != Scan::frame && step.kind != Scan::damaged_frame) continue;
      *following = step.header;
      return true;
    }
  }
  return false;
}

// step_ holds a damaged frame, bad bytes or stale bytes: was acknowledged data there or not?
Read FrameReader::judge() {
  const bool has_header = step_.kind == Scan::damaged_frame;
  FrameHeader following;
  bool acknowledged = step_.frame_follows;
  uint64_t last_lsn = has_header ? step_.header.lsn : 0;
  if (acknowledged) {
    // Exactly which frames stood here is told by the one behind.
    if (!has_header && scan_->peek(&following)) last_lsn = following.lsn - 1;
  } else if (find_following(&following)) {
    const uint64_t lsn = has_header ? step_.header.lsn : std::max<uint64_t>(expected_lsn_, 1);
    acknowledged = following.durable_lsn >= lsn;
    if (!has_header) last_lsn = following.durable_lsn;
  }
  if (!acknowledged) return judge_end();
  const uint64_t first_lsn = has_header || expected_lsn_ == 0 ? last_lsn : expected_lsn_;
  const char* reason = has_header ? "the CRC of an acknowledged frame's payload is wrong"
                                  : "the header of an acknowledged frame is damaged";
  if (step_.read_error != 0) reason = "the disk does not give back an acknowledged frame";
  set_gap(std::min(first_lsn, last_lsn), last_lsn, reason);
  gap_.read_error = step_.read_error;
  if (has_header) {
    split_payload(step_.payload, step_.header.record_count, &records_);
    gap_.records = step_.header.record_count - records_.size();
    expected_records_ = step_.header.durable_records + step_.header.record_count;
  } else {
    gap_.records = records_until(following);
    expected_records_.reset();
  }
  expected_lsn_ = last_lsn + 1;
  return Read::gap;
}

// step_ holds bytes behind the last acknowledged frame of a segment.
Read FrameReader::judge_end() {
  torn_ = {.segment = current_number_, .offset = step_.offset, .bytes = step_.bytes};
  if (step_.kind == Scan::stale_bytes) return Read::stale;
  if (step_.read_error == 0) return Read::torn;
  return fail(disk_error("read the end of", segment_path(options_.folder, current_number_),
                         step_.read_error));
}

// Skips segments whose successor starts at or before the first frame that is wanted.
void FrameReader::skip_to_start() {
  std::string scratch;
  while (next_segment_ + 1 < options_.segments.size() && options_.first_lsn > 1) {
    base::Result<OpenSegment> opened =
        open_segment(options_.disk, options_.folder, options_.segments[next_segment_ + 1]);
    if (!opened.ok() || !opened.value().header_valid) return;
    const ScanStep step = SegmentScan(&opened.value(), &scratch).next();
    if (step.kind != Scan::frame || step.header.lsn > options_.first_lsn) return;
    ++next_segment_;
    expected_lsn_ = 0;
  }
}

}  // namespace postback::journal
