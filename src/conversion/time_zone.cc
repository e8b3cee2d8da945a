#include "conversion/time_zone.h"

#include <date/tz.h>

#include <chrono>
#include <exception>
#include <string>

#include "conversion/ascii.h"

namespace postback::conversion {
namespace {

constexpr int64_t kMinuteUs = 60'000'000;

// Null when unknown; *why then holds what the library says when even the zone files are missing.
const date::time_zone* locate(const std::string& name, std::string* why) {
  // The library answers an unknown name with an exception, as it does for missing zone files.
  try {
    return date::locate_zone(name);
  } catch (const std::exception& exception) {
    *why = exception.what();
    return nullptr;
  }
}

}  // namespace

base::Result<TimeZone> TimeZone::find(std::string_view name) {
  TimeZone zone;
  // Not looked up, so that a system without zone files serves the partners that need none.
  if (name == "UTC" || name == "Z" || name == "GMT" || name == "Etc/UTC") return zone;
  if (parse_utc_offset(name, &zone.offset_us_)) return zone;
  std::string why;
  zone.zone_ = locate(std::string(name), &why);
  if (zone.zone_ == nullptr) {
    return base::Status::error("The timezone \"" + std::string(name) + "\" is not known (" + why +
                               "). Use an IANA name such as Asia/Kuala_Lumpur (package tzdata "
                               "must be installed), a fixed offset such as +08:00, or UTC.");
  }
  return zone;
}

int64_t TimeZone::utc_us(int64_t local_us) const {
  if (zone_ == nullptr) return local_us - offset_us_;
  const date::local_time<std::chrono::microseconds> local{std::chrono::microseconds(local_us)};
  const date::local_info info = zone_->get_info(date::floor<std::chrono::seconds>(local));
  // `first` is the offset in force before a gap, and the earlier of an overlap.
  return local_us - std::chrono::microseconds(info.first.offset).count();
}

bool parse_utc_offset(std::string_view text, int64_t* offset_us) {
  if (text.size() < 3 || (text[0] != '+' && text[0] != '-')) return false;
  const bool negative = text[0] == '-';
  char digits[4] = {'0', '0', '0', '0'};
  size_t count = 0;
  for (size_t i = 1; i < text.size(); ++i) {
    if (text[i] == ':' && i == 3 && text.size() == 6) continue;
    if (!is_digit(text[i]) || count == sizeof digits) return false;
    digits[count++] = text[i];
  }
  if (count != 2 && count != 4) return false;
  const int hours = (digits[0] - '0') * 10 + (digits[1] - '0');
  const int minutes = (digits[2] - '0') * 10 + (digits[3] - '0');
  if (minutes > 59 || hours * 60 + minutes > 14 * 60) return false;
  *offset_us = (negative ? -1 : 1) * (hours * 60 + minutes) * kMinuteUs;
  return true;
}

}  // namespace postback::conversion
