// Fuzz target of conversion/date_time and time_zone: what parses lies in its years, and prints and
// parses again to the same; the plainest forms agree with the C library.
#include <cstdint>
#include <ctime>
#include <string>

#include "base/check.h"
#include "base/time.h"
#include "conversion/date_time.h"

namespace {

using namespace postback::conversion;

// "2025-01-15 10:20:30", or with 'T', in UTC: as timegm() has it.
void check_plain_form(std::string_view text) {
  constexpr std::string_view kForm = "0000-00-00 00:00:00";
  if (text.size() != kForm.size()) return;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool digit = text[i] >= '0' && text[i] <= '9';
    if (kForm[i] == '0' ? !digit : text[i] != kForm[i]) return;
  }
  const auto number = [text](size_t at, size_t size) {
    return std::stoi(std::string(text.substr(at, size)));
  };
  std::tm fields{};
  fields.tm_year = number(0, 4) - 1900;
  fields.tm_mon = number(5, 2) - 1;
  fields.tm_mday = number(8, 2);
  fields.tm_hour = number(11, 2);
  fields.tm_min = number(14, 2);
  fields.tm_sec = number(17, 2);
  const std::tm given = fields;
  const int64_t expected_us = timegm(&fields) * int64_t{1'000'000};
  // timegm() carries what is out of range over; that is no date.
  const bool exists = fields.tm_mon == given.tm_mon && fields.tm_mday == given.tm_mday &&
                      fields.tm_hour == given.tm_hour && fields.tm_min == given.tm_min &&
                      fields.tm_sec == given.tm_sec && expected_us >= 0;
  int64_t time_us = -1;
  CHECK((parse_date_time(text, TimeZone(), &time_us) == DateFault::none) == exists);
  CHECK(!exists || time_us == expected_us);
}

// A zone behind the date counts, whatever the partner's zone is.
void check_offset(std::string_view text, int64_t utc_us) {
  int64_t offset_us = 0;
  if (!parse_utc_offset("+05:30", &offset_us)) CHECK(false);
  const TimeZone fixed = TimeZone::find("+05:30").take();
  int64_t time_us = -1;
  if (parse_date_time(text, fixed, &time_us) != DateFault::none) return;
  CHECK(time_us == utc_us || time_us == utc_us - offset_us);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const TimeZone zone = TimeZone::find("America/New_York").take();
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_plain_form(text);
  int64_t time_us = -1;
  if (parse_date_time(text, TimeZone(), &time_us) == DateFault::none) check_offset(text, time_us);
  time_us = -1;
  if (parse_date_time(text, zone, &time_us) != DateFault::none) {
    CHECK(time_us == -1);
    return 0;
  }
  CHECK(time_us >= 0);
  std::string iso;
  postback::base::append_iso8601(&iso, time_us);
  int64_t again_us = -1;
  CHECK(parse_date_time(iso, TimeZone(), &again_us) == DateFault::none);
  CHECK(again_us == time_us);
  return 0;
}
