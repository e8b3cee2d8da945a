// A frame: what one group commit writes (FORMAT.md, "Frame"). Pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "journal/limits.h"

namespace postback::journal {

constexpr size_t kFrameHeaderBytes = 64;
static_assert(kSegmentBytesMin > kFramesOffset + kFrameHeaderBytes);

struct FrameHeader {
  uint64_t lsn = 0;              // From 1 on; within a segment without gaps.
  uint64_t durable_lsn = 0;      // The highest acknowledged one when the frame was built; < lsn.
  uint64_t durable_records = 0;  // How many records were acknowledged before this frame.
  uint64_t salt = 0;             // The segment's.
  int64_t written_at_us = 0;     // Wall clock, for people only.
  uint32_t previous_offset = 0;  // Of the frame before in this segment; 0 for the first.
  uint32_t payload_bytes = 0;    // At most kFramePayloadBytesMax.
  uint32_t payload_crc = 0;
  uint32_t record_count = 0;
};

// Bytes that a frame takes in its segment: header, payload and zeros up to a whole block.
constexpr uint64_t frame_bytes(uint64_t payload_bytes) {
  return (kFrameHeaderBytes + payload_bytes + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
}

// Writes kFrameHeaderBytes with their CRC.
void encode_frame_header(const FrameHeader& header, char* out);
// `bytes`: kFrameHeaderBytes. False unless magic, CRC and all bounds are right; only then may the
// length be trusted.
[[nodiscard]] bool decode_frame_header(std::string_view bytes, FrameHeader* header);

// A record of a frame's payload.
struct FrameRecord {
  uint32_t index = 0;  // Within the frame.
  std::string_view bytes;
};

// The records of a frame. Of an undamaged payload: all. Of a payload whose CRC is wrong: those
// whose own CRC is right, as far as they can be found without guessing: all of them when the sizes
// of all records still lead to the payload's very end, otherwise those before the first bad one.
// (A wrong size could lead into the middle of a record, to bytes that a sender chose.)
// `records` is cleared first.
void split_payload(std::string_view payload, uint32_t record_count,
                   std::vector<FrameRecord>* records);

}  // namespace postback::journal
