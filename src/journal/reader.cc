#include "journal/reader.h"

#include <algorithm>

namespace postback::journal {
namespace {

// Segments before the first record that is wanted need not be read.
FrameReaderOptions frame_options(const ReaderOptions& options) {
  FrameReaderOptions frames = options.frames;
  if (options.include_drained) return frames;
  const uint64_t first = options.owner.has_value() ? frames.checkpoint.start(*options.owner).lsn
                                                   : frames.checkpoint.floor.lsn;
  frames.first_lsn = std::max(frames.first_lsn, first);
  return frames;
}

}  // namespace

Reader::Reader(ReaderOptions options)
    : options_(std::move(options)), frames_(frame_options(options_)) {}

ReaderStep Reader::next() {
  while (true) {
    while (next_record_ < frames_.records().size()) {
      const FrameRecord& record = frames_.records()[next_record_++];
      if (!take_record(record)) continue;
      if (fault_ == RecordFault::none) return ReaderStep::record;
      return report(record, fault_);
    }
    next_record_ = 0;
    switch (frames_.next()) {
      case Read::frame:
      case Read::torn:
      case Read::stale:
      case Read::segment:
        continue;
      case Read::gap:
        if (frames_.gap().drained && !options_.include_drained) continue;
        gap_ = frames_.gap();
        return ReaderStep::gap;
      case Read::end:
        return ReaderStep::end;
      case Read::failed:
        return ReaderStep::failed;
    }
  }
}

// False when the record is not asked for.
bool Reader::take_record(const FrameRecord& record) {
  fault_ = read_prefix(record.bytes, &prefix_);
  if (fault_ != RecordFault::none) return true;
  if (options_.owner.has_value() && prefix_.owner != *options_.owner) return false;
  position_ = {frames_.records_lsn(), record.index};
  drained_ = options_.frames.checkpoint.drained(prefix_.owner, position_);
  if (drained_ && !options_.include_drained) return false;
  fault_ = decode_record(record.bytes, &conversion_);
  return true;
}

ReaderStep Reader::report(const FrameRecord& record, RecordFault fault) {
  gap_ = Gap();
  gap_.segment = frames_.segment();
  gap_.offset = frames_.offset();
  gap_.bytes = record.bytes.size();
  gap_.first_lsn = frames_.records_lsn();
  gap_.last_lsn = gap_.first_lsn;
  gap_.records = 1;
  gap_.drained = drained_;
  gap_.reason = record_fault_text(fault);
  return ReaderStep::gap;
}

}  // namespace postback::journal
