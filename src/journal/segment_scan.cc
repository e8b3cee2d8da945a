#include "journal/segment_scan.h"

#include <algorithm>

#include "base/crc32c.h"

namespace postback::journal {
namespace {

constexpr size_t kChunkBytes = 64 * kBlockBytes;

}  // namespace

SegmentScan::SegmentScan(OpenSegment* segment, std::string* payload)
    : segment_(segment),
      payload_(payload),
      end_(std::min(segment->file_bytes, segment->header.segment_bytes)) {}

// Whether a frame of this segment may stand here. The salt is random, so no bytes that a sender
// chose can pretend to be one.
bool SegmentScan::frame_at(uint64_t offset, const char* bytes, FrameHeader* header) const {
  return decode_frame_header(std::string_view(bytes, kFrameHeaderBytes), header) &&
         header->salt == segment_->header.salt && header->lsn > last_lsn_ &&
         header->previous_offset < offset &&
         frame_bytes(header->payload_bytes) <= segment_->header.segment_bytes - offset;
}

bool SegmentScan::peek(FrameHeader* header) const {
  char bytes[kFrameHeaderBytes];
  return offset_ < end_ &&
         segment_->file->pread(bytes, sizeof bytes, offset_) ==
             static_cast<int64_t>(sizeof bytes) &&
         frame_at(offset_, bytes, header);
}

ScanStep SegmentScan::next() {
  ScanStep step;
  step.offset = end_;
  if (offset_ >= end_) return step;
  FrameHeader header;
  char bytes[kFrameHeaderBytes];
  const int64_t got = segment_->file->pread(bytes, sizeof bytes, offset_);
  const bool whole = got == static_cast<int64_t>(sizeof bytes);
  if (whole && frame_at(offset_, bytes, &header)) return read_frame(header);
  const bool stale = whole && decode_frame_header(std::string_view(bytes, sizeof bytes), &header) &&
                     header.salt != segment_->header.salt;
  return read_bad(stale, got < 0 ? static_cast<int>(got) : 0);
}

ScanStep SegmentScan::read_frame(const FrameHeader& header) {
  ScanStep step;
  step.kind = Scan::frame;
  step.offset = offset_;
  step.header = header;
  step.bytes = frame_bytes(header.payload_bytes);
  payload_->resize(header.payload_bytes);
  const int64_t got =
      segment_->file->pread(payload_->data(), payload_->size(), offset_ + kFrameHeaderBytes);
  if (got < 0) {
    step.read_error = static_cast<int>(got);
    payload_->clear();
  } else {
    payload_->resize(static_cast<size_t>(got));
  }
  step.payload = *payload_;
  last_lsn_ = header.lsn;
  offset_ += step.bytes;
  if (payload_->size() != header.payload_bytes || base::crc32c(*payload_) != header.payload_crc) {
    step.kind = Scan::damaged_frame;
    step.bytes = std::min(step.bytes, end_ - step.offset);  // It may have been cut.
    const Ahead ahead = look_ahead(offset_);
    step.frame_follows = ahead.frame_found;
    if (step.read_error == 0) step.read_error = ahead.read_error;
    // Behind a frame that is not whole nothing but frames matters.
    offset_ = ahead.frame_found ? ahead.frame_offset : end_;
    if (!ahead.frame_found && !ahead.all_zero) step.bytes = ahead.last_nonzero + 1 - step.offset;
  }
  return step;
}

// `read_error`: why it is not known what stands here.
ScanStep SegmentScan::read_bad(bool stale, int read_error) {
  Ahead ahead = look_ahead(read_error == 0 ? offset_ : std::min(offset_ + kBlockBytes, end_));
  if (read_error != 0) {
    ahead.read_error = read_error;
    if (ahead.all_zero) ahead.last_nonzero = std::min(offset_ + kBlockBytes, end_) - 1;
    ahead.all_zero = false;
  }
  ScanStep step;
  step.offset = offset_;
  step.frame_follows = ahead.frame_found;
  step.read_error = ahead.read_error;
  if (ahead.frame_found) {
    step.kind = Scan::bad_bytes;
    step.bytes = ahead.frame_offset - offset_;
    offset_ = ahead.frame_offset;
    return step;
  }
  offset_ = end_;
  if (ahead.all_zero) {
    step.kind = Scan::end;
  } else {
    step.kind = stale ? Scan::stale_bytes : Scan::bad_bytes;
    step.bytes = ahead.last_nonzero + 1 - step.offset;
  }
  return step;
}

// Looks for the next valid frame header at or behind `offset`. Blocks that cannot be read count as
// not zero.
SegmentScan::Ahead SegmentScan::look_ahead(uint64_t offset) {
  Ahead ahead;
  std::string chunk;
  while (offset < end_) {
    const size_t wanted = std::min<uint64_t>(kChunkBytes, end_ - offset);
    chunk.resize(wanted);
    int64_t got = segment_->file->pread(chunk.data(), wanted, offset);
    if (got < 0) {
      // One block at a time: one bad sector must not hide its neighbours.
      chunk.resize(std::min<size_t>(wanted, kBlockBytes));
      got = segment_->file->pread(chunk.data(), chunk.size(), offset);
    }
    if (got < 0) {
      ahead.read_error = static_cast<int>(got);
      ahead.all_zero = false;
      ahead.last_nonzero = offset + chunk.size() - 1;
      offset += chunk.size();
      continue;
    }
    if (got == 0) break;  // The file became shorter.
    chunk.resize(static_cast<size_t>(got));
    for (size_t block = 0; block < chunk.size(); block += kBlockBytes) {
      FrameHeader header;
      if (chunk.size() - block >= kFrameHeaderBytes &&
          frame_at(offset + block, chunk.data() + block, &header)) {
        ahead.frame_found = true;
        ahead.frame_offset = offset + block;
        return ahead;
      }
    }
    const size_t nonzero = chunk.find_last_not_of('\0');
    if (nonzero != std::string::npos) {
      ahead.all_zero = false;
      ahead.last_nonzero = offset + nonzero;
    }
    offset += chunk.size();
  }
  return ahead;
}

}  // namespace postback::journal
