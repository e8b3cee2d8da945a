// A segment: a file that was written full of zeros and synced before it took its first frame
// (FORMAT.md, "Segment").
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "journal/disk.h"
#include "journal/limits.h"
#include "journal/owner.h"

namespace postback::journal {

// A place between records: everything before record `record` of frame `lsn`.
struct Position {
  uint64_t lsn = 0;
  uint32_t record = 0;
  auto operator<=>(const Position&) const = default;
};

struct SegmentHeader {
  uint32_t version = kFormatVersion;
  uint64_t number = 0;
  uint64_t segment_bytes = 0;  // A multiple of kBlockBytes.
  uint64_t salt = 0;           // Random; every frame repeats it.
  int64_t created_at_us = 0;   // Wall clock, for people only.
};

// One copy of the header: kBlockBytes.
std::string encode_segment_header(const SegmentHeader& header);

enum class HeaderFault : uint8_t { none, damaged, unknown_version };
// `block`: kBlockBytes. With unknown_version only header->version is set.
[[nodiscard]] HeaderFault decode_segment_header(std::string_view block, SegmentHeader* header);

// Names in the folder. A segment is NUMBER.segment with sixteen hexadecimal digits, so names sort.
constexpr const char* kLockName = "LOCK";
constexpr const char* kCheckpointName = "checkpoint";
std::string segment_path(const std::string& folder, uint64_t number);
// While it is being made; and its torn tail; and the whole of it when it was damaged.
std::string new_segment_path(const std::string& folder, uint64_t number);
std::string torn_path(const std::string& folder, uint64_t number);
std::string damaged_path(const std::string& folder, uint64_t number);
std::optional<uint64_t> segment_number(std::string_view name);

// The numbers of all segments in the folder, ascending: the order in which they were written.
base::Result<std::vector<uint64_t>> list_segments(Disk* disk, const std::string& folder);

// A segment opened for reading.
struct OpenSegment {
  std::unique_ptr<File> file;
  uint64_t file_bytes = 0;  // May differ from header.segment_bytes: a tail was cut.
  SegmentHeader header;
  bool header_valid = false;    // At least one copy.
  bool header_damaged = false;  // At least one copy is not.
};
// A header of an unknown version is an error that names the remedy; a damaged one is not an error.
base::Result<OpenSegment> open_segment(Disk* disk, const std::string& folder, uint64_t number);

// What a segment holds, so that it can be told when it is drained.
struct PartnerTail {
  uint64_t records = 0;
  Position last;  // The partner's last record: drained when it lies before the partner's position.
};
struct SegmentSummary {
  uint64_t number = 0;
  uint64_t bytes = 0;      // Of the file.
  uint64_t first_lsn = 0;  // 0: no frames.
  uint64_t last_lsn = 0;
  uint64_t records = 0;
  std::map<Owner, PartnerTail> partners;
  bool damaged = false;  // It is kept, under another name, when it is drained.

  void add(const Owner& owner, Position position) {
    PartnerTail& tail = partners[owner];
    ++tail.records;
    tail.last = position;
    ++records;
  }
};

}  // namespace postback::journal
