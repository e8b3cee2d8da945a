#include "journal/active_segment.h"

#include <algorithm>

#include "base/check.h"
#include "base/crc32c.h"
#include "journal/record.h"

namespace postback::journal {

size_t ActiveSegment::payload_bytes_max(uint64_t segment_bytes) {
  return std::min<uint64_t>(kFramePayloadBytesMax,
                            segment_bytes - kFramesOffset - kFrameHeaderBytes);
}

bool ActiveSegment::fits(size_t payload_bytes) const {
  return frame_bytes(payload_bytes) <= header_.segment_bytes - offset_;
}

base::Status ActiveSegment::commit(FrameHeader header, std::string* frame) {
  const size_t payload_bytes = frame->size() - kFrameHeaderBytes;
  CHECK(!poisoned_ && fits(payload_bytes) && payload_bytes <= kFramePayloadBytesMax);
  const std::string_view payload = std::string_view(*frame).substr(kFrameHeaderBytes);
  header.salt = header_.salt;
  header.previous_offset = static_cast<uint32_t>(previous_offset_);
  header.payload_bytes = static_cast<uint32_t>(payload_bytes);
  header.payload_crc = base::crc32c(payload);
  encode_frame_header(header, frame->data());
  frame->resize(frame_bytes(payload_bytes), '\0');
  const std::string path = "journal segment " + std::to_string(header_.number);
  const int64_t done = file_->pwrite(*frame, offset_);
  if (done != static_cast<int64_t>(frame->size())) {
    poisoned_ = true;
    if (done < 0) return disk_error("write", path, static_cast<int>(done));
    return base::Status::error("short write to " + path + ": " + std::to_string(done) + " of " +
                               std::to_string(frame->size()) + " bytes; the disk is full");
  }
  const int error = file_->fdatasync();
  if (error != 0) {
    poisoned_ = true;
    return disk_error("sync", path, error);
  }
  if (!file_->has_name()) {
    poisoned_ = true;
    return base::Status::error(path + " was removed while in use; the next one takes over");
  }
  previous_offset_ = offset_;
  offset_ += frame->size();
  summarize(header.lsn, std::string_view(*frame).substr(kFrameHeaderBytes, payload_bytes));
  return base::Status();
}

void ActiveSegment::summarize(uint64_t lsn, std::string_view payload) {
  if (summary_.first_lsn == 0) summary_.first_lsn = lsn;
  summary_.last_lsn = lsn;
  RecordPrefix prefix;
  for (uint32_t index = 0; read_prefix(payload, &prefix) == RecordFault::none; ++index) {
    summary_.add(prefix.owner, {lsn, index});
    payload.remove_prefix(prefix.size);
  }
}

}  // namespace postback::journal
