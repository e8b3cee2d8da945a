#include "base/time.h"

#include <ctime>

namespace postback::base {
namespace {

class SystemClock final : public Clock {
 public:
  int64_t wall_us() const override {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * 1'000'000 + now.tv_nsec / 1000;
  }
  uint64_t monotonic_ns() const override {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
  }
};

struct Civil {
  int64_t year;
  unsigned month;
  unsigned day;
};

constexpr int64_t kDaysPerEra = 146097;  // 400 years.

// Years counted from March, so that the leap day is the last of its year.
Civil civil_from_days(int64_t days) {
  const int64_t shifted = days + 719468;  // Days from 0000-03-01 to 1970-01-01.
  const int64_t era = (shifted >= 0 ? shifted : shifted - (kDaysPerEra - 1)) / kDaysPerEra;
  const auto day_of_era = static_cast<unsigned>(shifted - era * kDaysPerEra);
  const unsigned year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  const unsigned day_of_year =
      day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const unsigned month_from_march = (5 * day_of_year + 2) / 153;
  Civil civil{};
  civil.day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
  civil.month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
  civil.year = static_cast<int64_t>(year_of_era) + era * 400 + (civil.month <= 2 ? 1 : 0);
  return civil;
}

void append_padded(std::string* out, int64_t value, int width) {
  char digits[20];
  for (int i = width - 1; i >= 0; --i) {
    digits[i] = static_cast<char>('0' + value % 10);
    value /= 10;
  }
  out->append(digits, static_cast<size_t>(width));
}

}  // namespace

const Clock& system_clock() {
  static const SystemClock clock;
  return clock;
}

int64_t days_from_civil(int64_t year, int month, int day) {
  const int64_t year_from_march = year - (month <= 2 ? 1 : 0);
  const int64_t era = (year_from_march >= 0 ? year_from_march : year_from_march - 399) / 400;
  const int64_t year_of_era = year_from_march - era * 400;
  const int64_t month_from_march = month > 2 ? month - 3 : month + 9;
  const int64_t day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
  const int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * kDaysPerEra + day_of_era - 719468;
}

void append_iso8601(std::string* out, int64_t time_us) {
  constexpr int64_t kDayUs = 86'400'000'000;
  int64_t days = time_us / kDayUs;
  int64_t rest = time_us % kDayUs;
  if (rest < 0) {
    rest += kDayUs;
    --days;
  }
  const Civil civil = civil_from_days(days);
  append_padded(out, civil.year, 4);
  out->push_back('-');
  append_padded(out, civil.month, 2);
  out->push_back('-');
  append_padded(out, civil.day, 2);
  out->push_back('T');
  append_padded(out, rest / 3'600'000'000, 2);
  out->push_back(':');
  append_padded(out, rest / 60'000'000 % 60, 2);
  out->push_back(':');
  append_padded(out, rest / 1'000'000 % 60, 2);
  if (rest % 1'000'000 != 0) {
    out->push_back('.');
    append_padded(out, rest % 1'000'000, 6);
  }
  out->push_back('Z');
}

}  // namespace postback::base
