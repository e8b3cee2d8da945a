#include "journal/frame.h"

#include "base/crc32c.h"
#include "journal/bytes.h"
#include "journal/record.h"

namespace postback::journal {
namespace {

constexpr uint32_t kFrameMagic = 0x464a4250;  // "PBJF"

}  // namespace

void encode_frame_header(const FrameHeader& header, char* out) {
  put<uint32_t>(out, kFrameMagic);
  put<uint64_t>(out + 8, header.lsn);
  put<uint64_t>(out + 16, header.durable_lsn);
  put<uint64_t>(out + 24, header.durable_records);
  put<uint64_t>(out + 32, header.salt);
  put<uint64_t>(out + 40, static_cast<uint64_t>(header.written_at_us));
  put<uint32_t>(out + 48, header.previous_offset);
  put<uint32_t>(out + 52, header.payload_bytes);
  put<uint32_t>(out + 56, header.payload_crc);
  put<uint32_t>(out + 60, header.record_count);
  put<uint32_t>(out + 4, base::crc32c(std::string_view(out + 8, kFrameHeaderBytes - 8)));
}

bool decode_frame_header(std::string_view bytes, FrameHeader* header) {
  if (bytes.size() != kFrameHeaderBytes) return false;
  const char* in = bytes.data();
  if (get<uint32_t>(in) != kFrameMagic) return false;
  if (get<uint32_t>(in + 4) != base::crc32c(bytes.substr(8))) return false;
  header->lsn = get<uint64_t>(in + 8);
  header->durable_lsn = get<uint64_t>(in + 16);
  header->durable_records = get<uint64_t>(in + 24);
  header->salt = get<uint64_t>(in + 32);
  header->written_at_us = static_cast<int64_t>(get<uint64_t>(in + 40));
  header->previous_offset = get<uint32_t>(in + 48);
  header->payload_bytes = get<uint32_t>(in + 52);
  header->payload_crc = get<uint32_t>(in + 56);
  header->record_count = get<uint32_t>(in + 60);
  return header->lsn > 0 && header->lsn < UINT64_MAX / 2 && header->durable_lsn < header->lsn &&
         header->payload_bytes <= kFramePayloadBytesMax &&
         header->record_count <= header->payload_bytes / kRecordPrefixBytes;
}

void split_payload(std::string_view payload, uint32_t record_count,
                   std::vector<FrameRecord>* records) {
  records->clear();
  size_t trusted = 0;  // Records before the first bad one.
  bool bad_seen = false;
  uint32_t index = 0;
  std::string_view rest = payload;
  RecordPrefix prefix;
  while (index < record_count && read_prefix(rest, &prefix) == RecordFault::none) {
    const std::string_view record = rest.substr(0, prefix.size);
    if (record_crc_valid(record)) {
      records->push_back({index, record});
      if (!bad_seen) trusted = records->size();
    } else {
      bad_seen = true;
    }
    rest.remove_prefix(prefix.size);
    ++index;
  }
  const bool sizes_lead_to_end = rest.empty() && index == record_count;
  if (!sizes_lead_to_end) records->resize(trusted);
}

}  // namespace postback::journal
