// What the fuzz targets of the journal share: a segment made of an input's bytes, behind a header
// that is right.
#pragma once

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>

#include "base/crc32c.h"
#include "journal/bytes.h"
#include "journal/frame.h"
#include "journal/record.h"
#include "journal/segment.h"

namespace postback::journal {

constexpr uint64_t kFuzzSalt = 0x1122334455667788;
constexpr uint64_t kFuzzSegmentBytes = 64 * 1024;

// Makes magic, salt and CRCs right wherever a frame may start, and those of its first record, so
// that what lies behind them is reached too: no mutation finds a CRC by itself.
inline void mend_frames(std::string* bytes) {
  for (size_t at = kFramesOffset; at + kFrameHeaderBytes <= bytes->size(); at += kBlockBytes) {
    char* frame = bytes->data() + at;
    if (frame[0] != 'P') continue;
    std::memcpy(frame, "PBJF", 4);
    put<uint64_t>(frame + 32, kFuzzSalt);
    const size_t room = bytes->size() - at - kFrameHeaderBytes;
    const size_t payload = std::min<size_t>(get<uint32_t>(frame + 52), room);
    char* record = frame + kFrameHeaderBytes;
    if (payload >= kRecordPrefixBytes) {
      const auto size = get<uint32_t>(record);
      if (size >= kRecordPrefixBytes && size <= payload) {
        const std::string_view covered(record + 8, size - 8);
        put<uint32_t>(record + 4, base::crc32c(covered));
      }
    }
    put<uint32_t>(frame + 56, base::crc32c(std::string_view(record, payload)));
    const std::string_view header(frame + 8, kFrameHeaderBytes - 8);
    put<uint32_t>(frame + 4, base::crc32c(header));
  }
}

// The whole file of segment `number`.
inline std::string segment_of(std::string_view frames, uint64_t number, bool mended) {
  SegmentHeader header;
  header.number = number;
  header.segment_bytes = kFuzzSegmentBytes;
  header.salt = kFuzzSalt;
  const std::string block = encode_segment_header(header);
  std::string bytes = block + block;
  bytes += frames.substr(0, kFuzzSegmentBytes - kFramesOffset);
  if (mended) mend_frames(&bytes);
  return bytes;
}

}  // namespace postback::journal
