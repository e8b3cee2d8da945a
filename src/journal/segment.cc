#include "journal/segment.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "base/crc32c.h"
#include "journal/bytes.h"

namespace postback::journal {
namespace {

constexpr char kMagic[] = "PBJOURNL";  // 8 bytes without the final zero.
constexpr size_t kCrcOffset = kBlockBytes - 4;
constexpr std::string_view kSuffix = ".segment";
constexpr size_t kDigits = 16;

std::string numbered(const std::string& folder, uint64_t number, const char* suffix) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string name(kDigits, '0');
  for (size_t i = 0; i < kDigits; ++i) name[kDigits - 1 - i] = kHex[number >> (4 * i) & 15];
  return folder + "/" + name + suffix;
}

}  // namespace

std::string encode_segment_header(const SegmentHeader& header) {
  std::string block(kBlockBytes, '\0');
  std::memcpy(block.data(), kMagic, 8);
  put<uint32_t>(block.data() + 8, header.version);
  put<uint64_t>(block.data() + 16, header.number);
  put<uint64_t>(block.data() + 24, header.segment_bytes);
  put<uint64_t>(block.data() + 32, header.salt);
  put<uint64_t>(block.data() + 40, static_cast<uint64_t>(header.created_at_us));
  const uint32_t crc = base::crc32c(std::string_view(block).substr(0, kCrcOffset));
  put<uint32_t>(block.data() + kCrcOffset, crc);
  return block;
}

HeaderFault decode_segment_header(std::string_view block, SegmentHeader* header) {
  if (block.size() != kBlockBytes || std::memcmp(block.data(), kMagic, 8) != 0 ||
      get<uint32_t>(block.data() + kCrcOffset) != base::crc32c(block.substr(0, kCrcOffset))) {
    return HeaderFault::damaged;
  }
  header->version = get<uint32_t>(block.data() + 8);
  if (header->version < kFormatVersionOldest || header->version > kFormatVersion) {
    return HeaderFault::unknown_version;
  }
  header->number = get<uint64_t>(block.data() + 16);
  header->segment_bytes = get<uint64_t>(block.data() + 24);
  header->salt = get<uint64_t>(block.data() + 32);
  header->created_at_us = static_cast<int64_t>(get<uint64_t>(block.data() + 40));
  const bool fine = header->segment_bytes >= kSegmentBytesMin &&
                    header->segment_bytes <= kSegmentBytesMax &&
                    header->segment_bytes % kBlockBytes == 0;
  return fine ? HeaderFault::none : HeaderFault::damaged;
}

std::string segment_path(const std::string& folder, uint64_t number) {
  return numbered(folder, number, ".segment");
}
std::string new_segment_path(const std::string& folder, uint64_t number) {
  return numbered(folder, number, ".new");
}
std::string torn_path(const std::string& folder, uint64_t number) {
  return numbered(folder, number, ".torn");
}
std::string damaged_path(const std::string& folder, uint64_t number) {
  return numbered(folder, number, ".damaged");
}

std::optional<uint64_t> segment_number(std::string_view name) {
  if (name.size() != kDigits + kSuffix.size() || !name.ends_with(kSuffix)) return std::nullopt;
  uint64_t number = 0;
  const auto result = std::from_chars(name.data(), name.data() + kDigits, number, 16);
  if (result.ec != std::errc() || result.ptr != name.data() + kDigits) return std::nullopt;
  return number;
}

base::Result<std::vector<uint64_t>> list_segments(Disk* disk, const std::string& folder) {
  std::vector<std::string> names;
  const int error = disk->list(folder, &names);
  if (error != 0) return disk_error("list the journal's folder", folder, error);
  std::vector<uint64_t> numbers;
  for (const std::string& name : names) {
    if (const auto number = segment_number(name)) numbers.push_back(*number);
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

base::Result<OpenSegment> open_segment(Disk* disk, const std::string& folder, uint64_t number) {
  const std::string path = segment_path(folder, number);
  OpenSegment segment;
  const int error = disk->open(path, OpenMode::read, &segment.file);
  if (error != 0) return disk_error("open", path, error);
  const int64_t size = segment.file->size();
  if (size < 0) return disk_error("read the size of", path, static_cast<int>(size));
  segment.file_bytes = static_cast<uint64_t>(size);
  std::string block(kBlockBytes, '\0');
  for (uint64_t copy = 0; copy < 2; ++copy) {
    SegmentHeader header;
    const int64_t got = segment.file->pread(block.data(), block.size(), copy * kBlockBytes);
    const bool whole = got == static_cast<int64_t>(block.size());
    const HeaderFault fault = whole ? decode_segment_header(block, &header) : HeaderFault::damaged;
    if (fault == HeaderFault::unknown_version) {
      return base::Status::error(
          "journal segment " + path + " has format version " + std::to_string(header.version) +
          ", this program reads versions up to " + std::to_string(kFormatVersion) +
          "; let the program that wrote it drain it, or export it with that program's "
          "postbackctl journal export");
    }
    if (fault == HeaderFault::damaged) {
      segment.header_damaged = true;
    } else if (!segment.header_valid) {
      segment.header = header;
      segment.header_valid = true;
    }
  }
  return segment;
}

}  // namespace postback::journal
