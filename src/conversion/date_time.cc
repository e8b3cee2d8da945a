#include "conversion/date_time.h"

#include <cstddef>

#include "base/time.h"
#include "conversion/ascii.h"

namespace postback::conversion {
namespace {

constexpr int64_t kSecondUs = 1'000'000;
constexpr int64_t kDayUs = 86'400 * kSecondUs;
constexpr int64_t kTimeUsEnd = 2'932'897 * kDayUs;  // 10000-01-01.

// Takes text apart from the front; every take_ changes nothing when it answers false.
struct Scanner {
  std::string_view rest;

  bool take(char c) {
    if (!rest.starts_with(c)) return false;
    rest.remove_prefix(1);
    return true;
  }
  template <size_t kDigits>
  bool take_number(int* value) {
    if (rest.size() < kDigits) return false;
    const char* const digits = rest.data();
    int number = 0;
#pragma GCC unroll 4
    for (size_t i = 0; i < kDigits; ++i) {
      if (!is_digit(digits[i])) return false;
      number = number * 10 + (digits[i] - '0');
    }
    rest.remove_prefix(kDigits);
    *value = number;
    return true;
  }
  // 1 to 9 digits as microseconds.
  bool take_fraction(int64_t* fraction_us) {
    size_t count = 0;
    int64_t micros = 0;
    for (; count < rest.size() && is_digit(rest[count]); ++count) {
      if (count < 6) micros = micros * 10 + (rest[count] - '0');
    }
    if (count == 0 || count > 9) return false;
    for (size_t i = count; i < 6; ++i) micros *= 10;
    rest.remove_prefix(count);
    *fraction_us = micros;
    return true;
  }
};

struct Civil {
  int year = 0;
  int month = 0;
  int day = 0;
  int hour = 0;
  int minute = 0;
  int second = 0;
  int64_t fraction_us = 0;
};

constexpr int days_in_month(int year, int month) {
  constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return month == 2 && leap ? 29 : kDays[month - 1];
}

bool is_all_digits(std::string_view text) {
  for (const char c : text) {
    if (!is_digit(c)) return false;
  }
  return !text.empty();
}

DateFault parse_epoch(std::string_view digits, int64_t* time_us) {
  int64_t unit_us = 0;
  switch (digits.size()) {
    case 9:
    case 10:
      unit_us = kSecondUs;
      break;
    case 12:
    case 13:
      unit_us = 1000;
      break;
    case 15:
    case 16:
      unit_us = 1;
      break;
    default:
      return DateFault::format;
  }
  int64_t count = 0;
  for (const char c : digits) count = count * 10 + (c - '0');
  *time_us = count * unit_us;
  return DateFault::none;
}

// The time of day behind the date, without its zone.
bool take_time_of_day(Scanner* scanner, Civil* civil) {
  if (!scanner->take('T') && !scanner->take('t') && !scanner->take(' ')) return false;
  if (!scanner->take_number<2>(&civil->hour) || !scanner->take(':')) return false;
  if (!scanner->take_number<2>(&civil->minute)) return false;
  if (!scanner->take(':')) return true;
  if (!scanner->take_number<2>(&civil->second)) return false;
  if (!scanner->take('.') && !scanner->take(',')) return true;
  return scanner->take_fraction(&civil->fraction_us);
}

// What is left behind date and time: nothing (*zoned stays false) or a zone.
bool take_zone(std::string_view rest, bool* zoned, int64_t* offset_us) {
  if (rest.empty()) return true;
  *zoned = true;
  const bool space = rest[0] == ' ';
  if (space) rest.remove_prefix(1);
  if (rest == "Z" || rest == "z") {
    *offset_us = 0;
    return true;
  }
  if (parse_utc_offset(rest, offset_us)) return true;
  // "+08:00" whose '+' was not escaped in a query arrives as " 08:00"; nothing else looks like it.
  char signed_offset[6] = {'+'};
  if (!space || rest.size() != 5 || rest[2] != ':') return false;
  rest.copy(signed_offset + 1, 5);
  return parse_utc_offset({signed_offset, sizeof signed_offset}, offset_us);
}

bool is_in_range(const Civil& civil) {
  return civil.month >= 1 && civil.month <= 12 && civil.day >= 1 &&
         civil.day <= days_in_month(civil.year, civil.month) && civil.hour <= 23 &&
         civil.minute <= 59 && civil.second <= 59;
}

int64_t local_us(const Civil& civil) {
  const int64_t seconds = (civil.hour * 60 + civil.minute) * 60 + civil.second;
  return base::days_from_civil(civil.year, civil.month, civil.day) * kDayUs + seconds * kSecondUs +
         civil.fraction_us;
}

}  // namespace

DateFault parse_date_time(std::string_view text, const TimeZone& zone, int64_t* time_us) {
  text = trimmed(text);
  if (is_all_digits(text)) return parse_epoch(text, time_us);

  Scanner scanner{text};
  Civil civil;
  if (!scanner.take_number<4>(&civil.year) || !scanner.take('-') ||
      !scanner.take_number<2>(&civil.month) || !scanner.take('-') ||
      !scanner.take_number<2>(&civil.day)) {
    return DateFault::format;
  }
  bool zoned = false;
  int64_t offset_us = 0;
  if (!scanner.rest.empty()) {
    if (!take_time_of_day(&scanner, &civil)) return DateFault::format;
    if (!take_zone(scanner.rest, &zoned, &offset_us)) return DateFault::format;
  }
  if (!is_in_range(civil)) return DateFault::range;
  // Before the zone is asked: its tables are meant for the years in use.
  if (civil.year < 1970) return DateFault::out_of_years;
  const int64_t local = local_us(civil);
  const int64_t utc = zoned ? local - offset_us : zone.utc_us(local);
  if (utc < 0 || utc >= kTimeUsEnd) return DateFault::out_of_years;
  *time_us = utc;
  return DateFault::none;
}

std::string_view date_fault_text(DateFault fault) {
  switch (fault) {
    case DateFault::none:
      return "is a date";
    case DateFault::format:
      return "is not a date in a known form";
    case DateFault::range:
      return "is not a date that exists";
    case DateFault::out_of_years:
      return "lies before 1970 or after 9999";
  }
  return "is not a date";
}

}  // namespace postback::conversion
