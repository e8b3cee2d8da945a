#include "conversion/zone_table.h"

#include <algorithm>
#include <iterator>

namespace postback::conversion {
namespace {

using base::Status;

// The greatest offset that a file may have, RFC 9636 section 3.2: between -25 and 26 hours.
constexpr int64_t kOffsetSMin = -25 * 3600;
constexpr int64_t kOffsetSMax = 26 * 3600;
// Far outside of the years in use. Times before and behind are moved here, so that nothing
// overflows when an offset is added.
constexpr int64_t kTimeSMax = int64_t{1} << 50;

int64_t big_endian(std::string_view bytes) {
  uint64_t value = 0;
  for (const char c : bytes) value = value << 8 | static_cast<uint8_t>(c);
  if (bytes.size() == 4) return static_cast<int32_t>(value);
  return static_cast<int64_t>(value);
}

}  // namespace

int32_t ZoneTable::offset_s(int64_t local_s) const {
  const auto next = std::upper_bound(
      changes_.begin(), changes_.end(), local_s,
      [](int64_t time_s, const Change& change) { return time_s < change.local_from_s; });
  const bool is_behind = next == changes_.end() && rule_.has_value();
  if (next == changes_.begin()) return is_behind ? rule_->at(local_s).offset_s : first_offset_s_;
  const Change& last = *std::prev(next);
  if (!is_behind) return last.offset_s;
  // The rule begins with its first change behind the last one of the table. (America/Ojinaga put
  // its clocks back in 2022 a week before the rule by which it goes on does.)
  const ZoneRule::State state = rule_->at(local_s);
  return state.local_from_s > last.local_from_s ? state.offset_s : last.offset_s;
}

//   file   = block with times of 4 bytes [block with times of 8 bytes, footer]
//   block  = header, times, type of each time, types, texts, leap seconds, two lists of flags
//   header = "TZif", version, 15 bytes, counts of flags, flags, leap seconds, times, types, texts
//   footer = line feed, rule, line feed
class ZoneTableParser {
 public:
  explicit ZoneTableParser(std::string_view bytes) : rest_(bytes) {}

  Status parse(ZoneTable* table) {
    if (!take_header()) return Status::error("does not begin like a time zone file");
    if (version_ != '\0') {
      if (rest_.size() < block_bytes(4)) return cut_off();
      rest_.remove_prefix(static_cast<size_t>(block_bytes(4)));
      if (!take_header()) return Status::error("has no second header");
      time_bytes_ = 8;
    }
    if (rest_.size() < block_bytes(time_bytes_)) return cut_off();
    if (leap_count_ != 0) {
      return Status::error("counts leap seconds, as no time of a postback does");
    }
    const Status changes = take_changes(table);
    if (!changes.ok() || version_ == '\0') return changes;
    return take_footer(table);
  }

 private:
  static Status cut_off() { return Status::error("is shorter than it says"); }

  std::string_view take(size_t size) {
    const std::string_view part = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return part;
  }

  bool take_header() {
    constexpr size_t kHeaderBytes = 44;
    if (rest_.size() < kHeaderBytes || !rest_.starts_with("TZif")) return false;
    version_ = rest_[4];
    rest_.remove_prefix(20);
    for (uint64_t* count : {&ut_flag_count_, &standard_flag_count_, &leap_count_, &time_count_,
                            &type_count_, &text_bytes_}) {
      *count = static_cast<uint32_t>(big_endian(take(4)));
    }
    return true;
  }

  // Sums of products of 32-bit counts: no overflow in 64 bits.
  uint64_t block_bytes(uint64_t time_bytes) const {
    return time_count_ * (time_bytes + 1) + type_count_ * 6 + text_bytes_ +
           leap_count_ * (time_bytes + 4) + standard_flag_count_ + ut_flag_count_;
  }

  // The block is there, whole.
  Status take_changes(ZoneTable* table) {
    const std::string_view times = take(time_count_ * time_bytes_);
    const std::string_view type_of_times = take(time_count_);
    const std::string_view types = take(type_count_ * 6);
    take(text_bytes_ + standard_flag_count_ + ut_flag_count_);
    if (type_count_ == 0) return Status::error("names no offset from UTC");
    std::vector<int32_t> offsets;
    for (size_t i = 0; i < type_count_; ++i) {
      offsets.push_back(static_cast<int32_t>(big_endian(types.substr(i * 6, 4))));
      if (offsets.back() < kOffsetSMin || offsets.back() > kOffsetSMax) {
        return Status::error("has an offset of more than a day");
      }
    }
    table->first_offset_s_ = offsets[0];
    int32_t before_s = offsets[0];
    int64_t last_time_s = INT64_MIN;
    for (size_t i = 0; i < time_count_; ++i) {
      const int64_t time_s = big_endian(times.substr(i * time_bytes_, time_bytes_));
      const auto type = static_cast<uint8_t>(type_of_times[i]);
      if (type >= offsets.size()) return Status::error("refers to an offset that it does not have");
      if (i > 0 && time_s <= last_time_s) return Status::error("has times that are out of order");
      last_time_s = time_s;
      const int32_t offset_s = offsets[type];
      // The first local time that can only lie behind the change.
      int64_t local_from_s =
          std::clamp(time_s, -kTimeSMax, kTimeSMax) + std::max(before_s, offset_s);
      if (!table->changes_.empty()) {
        local_from_s = std::max(local_from_s, table->changes_.back().local_from_s);
      }
      table->changes_.push_back({local_from_s, offset_s});
      before_s = offset_s;
    }
    return Status();
  }

  Status take_footer(ZoneTable* table) {
    const size_t end = rest_.starts_with('\n') ? rest_.find('\n', 1) : std::string_view::npos;
    if (end == std::string_view::npos) return Status::error("has no rule at its end");
    const std::string_view text = rest_.substr(1, end - 1);
    if (text.empty()) return Status();  // What the last change says holds for ever.
    table->rule_ = ZoneRule::parse(text);
    return table->rule_.has_value() ? Status()
                                    : Status::error("has a rule at its end that cannot be read");
  }

  std::string_view rest_;
  char version_ = '\0';
  size_t time_bytes_ = 4;
  uint64_t ut_flag_count_ = 0;
  uint64_t standard_flag_count_ = 0;
  uint64_t leap_count_ = 0;
  uint64_t time_count_ = 0;
  uint64_t type_count_ = 0;
  uint64_t text_bytes_ = 0;
};

base::Result<ZoneTable> ZoneTable::parse(std::string_view bytes) {
  ZoneTable table;
  const Status status = ZoneTableParser(bytes).parse(&table);
  if (!status.ok()) return status;
  return table;
}

}  // namespace postback::conversion
