// One Conversion as bytes (FORMAT.md, "Record"). Pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "journal/limits.h"
#include "journal/owner.h"
#include "postback/conversion.h"

namespace postback::journal {

// Why bytes are not a record.
enum class RecordFault : uint8_t {
  none,
  too_short,        // Fewer bytes than the record's prefix, or than its size says.
  bad_size,         // Its size is out of bounds.
  bad_crc,          //
  unknown_type,     // Its CRC is right: a later version of the program wrote it.
  unknown_version,  // Likewise.
  bad_value,        // A value that no conversion can have.
};
const char* record_fault_text(RecordFault fault);

constexpr size_t kRecordPrefixBytes = 16;

// What stands in front of every record, of whatever type and version; and whose it is, as far as
// this program knows the version.
struct RecordPrefix {
  uint32_t size = 0;  // Of the whole record; kRecordPrefixBytes to kRecordBytesMax.
  uint32_t crc = 0;
  uint8_t type = 0;
  uint8_t version = 0;
  Owner owner;
};

// Appends the record, marked with `owner`, whose partner id is the conversion's. False, and nothing
// appended, when it would exceed kRecordBytesMax.
[[nodiscard]] bool append_record(const Conversion& conversion, const Owner& owner,
                                 std::string* out);

// Reads prefix and mark at the front of `bytes`; its CRC is not checked. On success the whole
// record lies within `bytes`.
[[nodiscard]] RecordFault read_prefix(std::string_view bytes, RecordPrefix* prefix);
[[nodiscard]] bool record_crc_valid(std::string_view record);

// `record`: exactly one record. On a fault *out is unspecified but valid.
[[nodiscard]] RecordFault decode_record(std::string_view record, Conversion* out);

}  // namespace postback::journal
