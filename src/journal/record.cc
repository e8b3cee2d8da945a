#include "journal/record.h"

#include <algorithm>

#include "base/check.h"
#include "base/crc32c.h"
#include "journal/bytes.h"

namespace postback::journal {
namespace {

constexpr uint8_t kTypeConversion = 1;
// A conversion of version 2 has a mark behind the prefix, one of version 1 has none.
constexpr uint8_t kVersionUnmarked = 1;
constexpr uint8_t kVersionMarked = 2;
constexpr size_t kFixedBytes = 64;  // Of a conversion, behind the prefix.

enum Flag : uint8_t { kHasDatetime = 1, kHasSaleAmount = 2, kHasEarning = 4, kFlagsAll = 7 };

constexpr auto kFieldCount = static_cast<uint32_t>(Field::kCount);
// The numbers of fields and reasons are part of the format. Whoever adds one appends it, gives
// conversions a new version, and keeps reading those before.
static_assert(kFieldCount == 15 && static_cast<int>(Field::body) == 14);
static_assert(static_cast<int>(Reason::database_refused) == 11);

using Wide = unsigned __int128;

void append_amount(const std::optional<Decimal>& amount, std::string* out) {
  append<Wide>(out, amount ? static_cast<Wide>(amount->units) : 0);
}

constexpr __int128 power_of_ten(int exponent) {
  __int128 power = 1;
  while (exponent-- > 0) power *= 10;
  return power;
}

// False for an amount that Decimal::parse cannot make.
bool read_amount(bool present, Wide units, uint8_t scale, std::optional<Decimal>* out) {
  if (!present) return units == 0 && scale == 0;
  if (scale > Decimal::kScaleMax) return false;
  const auto value = static_cast<__int128>(units);
  const __int128 bound = power_of_ten(Decimal::kIntegerDigitsMax + scale);
  if (value <= -bound || value >= bound) return false;
  *out = Decimal{value, scale};
  return true;
}

size_t mark_bytes(const Owner& owner) {
  return owner.is_marked() ? owner.registry.size() + 1 + owner.code.size() : 0;
}

void append_mark(const Owner& owner, std::string* out) {
  out->append(owner.registry.begin(), owner.registry.end());
  append<uint8_t>(out, static_cast<uint8_t>(owner.code.size()));
  out->append(owner.code);
}

// `bytes`: the record behind its prefix.
RecordFault read_mark(std::string_view bytes, Owner* owner) {
  Taker in(bytes);
  const std::string_view registry = in.take_text(owner->registry.size());
  const auto size = in.take<uint8_t>();
  if (in.failed()) return RecordFault::too_short;
  if (size > kOwnerCodeBytesMax) return RecordFault::bad_value;
  std::copy(registry.begin(), registry.end(), owner->registry.begin());
  owner->code = in.take_text(size);
  if (in.failed()) return RecordFault::too_short;
  // One that tells nothing would be version 1: a record has one form only.
  return owner->is_marked() ? RecordFault::none : RecordFault::bad_value;
}

RecordFault decode_conversion(Taker in, Conversion* out) {
  out->id = static_cast<int64_t>(in.take<uint64_t>());
  out->received_at_us = static_cast<int64_t>(in.take<uint64_t>());
  const auto reason = in.take<uint8_t>();
  const auto flags = in.take<uint8_t>();
  const auto sale_scale = in.take<uint8_t>();
  const auto earning_scale = in.take<uint8_t>();
  const auto fields = in.take<uint32_t>();
  const auto datetime_us = in.take<uint64_t>();
  const Wide sale = in.take<Wide>();
  const Wide earning = in.take<Wide>();
  if (in.failed()) return RecordFault::too_short;
  if (reason > static_cast<uint8_t>(Reason::database_refused) || flags > kFlagsAll ||
      fields >> kFieldCount != 0) {
    return RecordFault::bad_value;
  }
  out->reason = static_cast<Reason>(reason);
  if ((flags & kHasDatetime) != 0) {
    out->conversion_datetime_us = static_cast<int64_t>(datetime_us);
  } else if (datetime_us != 0) {
    return RecordFault::bad_value;
  }
  if (!read_amount((flags & kHasSaleAmount) != 0, sale, sale_scale, &out->usd_sale_amount) ||
      !read_amount((flags & kHasEarning) != 0, earning, earning_scale, &out->usd_earning)) {
    return RecordFault::bad_value;
  }
  std::array<uint32_t, kFieldCount> sizes{};
  for (uint32_t i = 0; i < kFieldCount; ++i) {
    if ((fields >> i & 1) != 0) sizes[i] = in.take<uint32_t>();
  }
  for (uint32_t i = 0; i < kFieldCount && !in.failed(); ++i) {
    if ((fields >> i & 1) == 0) continue;
    const std::string_view text = in.take_text(sizes[i]);
    if (!in.failed()) out->set(static_cast<Field>(i), text);
  }
  return in.failed() || in.left() != 0 ? RecordFault::bad_value : RecordFault::none;
}

}  // namespace

const char* record_fault_text(RecordFault fault) {
  switch (fault) {
    case RecordFault::none:
      return "none";
    case RecordFault::too_short:
      return "the record is cut off";
    case RecordFault::bad_size:
      return "the record's size is out of bounds";
    case RecordFault::bad_crc:
      return "the record's CRC is wrong";
    case RecordFault::unknown_type:
      return "the record is of a type that a later program made";
    case RecordFault::unknown_version:
      return "the record is of a version that a later program made";
    case RecordFault::bad_value:
      return "the record holds a value that no conversion can have";
  }
  return "none";
}

bool append_record(const Conversion& conversion, const Owner& owner, std::string* out) {
  size_t size = kRecordPrefixBytes + mark_bytes(owner) + kFixedBytes;
  uint32_t fields = 0;
  for (uint32_t i = 0; i < kFieldCount; ++i) {
    const auto field = static_cast<Field>(i);
    if (!conversion.has(field)) continue;
    fields |= 1u << i;
    size += sizeof(uint32_t) + conversion.text(field).size();
  }
  if (size > kRecordBytesMax) return false;
  const size_t start = out->size();
  append<uint32_t>(out, static_cast<uint32_t>(size));
  append<uint32_t>(out, 0);  // The CRC comes last.
  append<uint8_t>(out, kTypeConversion);
  append<uint8_t>(out, owner.is_marked() ? kVersionMarked : kVersionUnmarked);
  append<uint16_t>(out, 0);
  append<uint32_t>(out, static_cast<uint32_t>(conversion.partner_id));
  if (owner.is_marked()) append_mark(owner, out);
  append<uint64_t>(out, static_cast<uint64_t>(conversion.id));
  append<uint64_t>(out, static_cast<uint64_t>(conversion.received_at_us));
  append<uint8_t>(out, static_cast<uint8_t>(conversion.reason));
  const auto& datetime = conversion.conversion_datetime_us;
  const auto& sale = conversion.usd_sale_amount;
  const auto& earning = conversion.usd_earning;
  append<uint8_t>(out,
                  static_cast<uint8_t>((datetime ? kHasDatetime : 0) | (sale ? kHasSaleAmount : 0) |
                                       (earning ? kHasEarning : 0)));
  append<uint8_t>(out, sale ? sale->scale : uint8_t{0});
  append<uint8_t>(out, earning ? earning->scale : uint8_t{0});
  append<uint32_t>(out, fields);
  append<uint64_t>(out, static_cast<uint64_t>(datetime.value_or(0)));
  append_amount(sale, out);
  append_amount(earning, out);
  for (uint32_t i = 0; i < kFieldCount; ++i) {
    const auto field = static_cast<Field>(i);
    if (!conversion.has(field)) continue;
    append<uint32_t>(out, static_cast<uint32_t>(conversion.text(field).size()));
  }
  for (uint32_t i = 0; i < kFieldCount; ++i) out->append(conversion.text(static_cast<Field>(i)));
  CHECK(out->size() - start == size);
  const std::string_view record = std::string_view(*out).substr(start);
  put<uint32_t>(out->data() + start + 4, base::crc32c(record.substr(8)));
  return true;
}

RecordFault read_prefix(std::string_view bytes, RecordPrefix* prefix) {
  if (bytes.size() < kRecordPrefixBytes) return RecordFault::too_short;
  prefix->size = get<uint32_t>(bytes.data());
  prefix->crc = get<uint32_t>(bytes.data() + 4);
  prefix->type = get<uint8_t>(bytes.data() + 8);
  prefix->version = get<uint8_t>(bytes.data() + 9);
  prefix->owner = static_cast<int32_t>(get<uint32_t>(bytes.data() + 12));
  if (prefix->size < kRecordPrefixBytes || prefix->size > kRecordBytesMax) {
    return RecordFault::bad_size;
  }
  if (prefix->size > bytes.size()) return RecordFault::too_short;
  if (prefix->type != kTypeConversion || prefix->version != kVersionMarked) {
    return RecordFault::none;
  }
  return read_mark(bytes.substr(kRecordPrefixBytes, prefix->size - kRecordPrefixBytes),
                   &prefix->owner);
}

bool record_crc_valid(std::string_view record) {
  return record.size() >= kRecordPrefixBytes &&
         base::crc32c(record.substr(8)) == get<uint32_t>(record.data() + 4);
}

RecordFault decode_record(std::string_view record, Conversion* out) {
  out->clear();
  RecordPrefix prefix;
  const RecordFault fault = read_prefix(record, &prefix);
  if (fault != RecordFault::none) return fault;
  if (prefix.size != record.size()) return RecordFault::bad_size;
  if (!record_crc_valid(record)) return RecordFault::bad_crc;
  if (prefix.type != kTypeConversion) return RecordFault::unknown_type;
  if (prefix.version != kVersionUnmarked && prefix.version != kVersionMarked) {
    return RecordFault::unknown_version;
  }
  if (get<uint16_t>(record.data() + 10) != 0) return RecordFault::bad_value;
  out->partner_id = prefix.owner.partner_id;
  const size_t front = kRecordPrefixBytes + mark_bytes(prefix.owner);
  return decode_conversion(Taker(record.substr(front)), out);
}

}  // namespace postback::journal
