#include "conversion/zone_rule.h"

#include <algorithm>

#include "base/time.h"
#include "conversion/ascii.h"

namespace postback::conversion {
namespace {

constexpr int64_t kDayS = 86'400;

int64_t year_start_s(int64_t year) {
  return base::days_from_civil(year, 1, 1) * kDayS;
}

int64_t year_of(int64_t local_s) {
  constexpr int64_t kDaysOf400Years = 146'097;
  const int64_t days = local_s / kDayS - (local_s % kDayS < 0 ? 1 : 0);
  int64_t year = 1970 + days * 400 / kDaysOf400Years;  // Wrong by one at most, near its ends.
  while (local_s < year_start_s(year)) --year;
  while (local_s >= year_start_s(year + 1)) ++year;
  return year;
}

bool is_leap_year(int64_t year) {
  return base::days_from_civil(year, 3, 1) - base::days_from_civil(year, 2, 1) == 29;
}

}  // namespace

int64_t ZoneRule::YearTime::in_year(int64_t year) const {
  int64_t days = 0;
  switch (kind) {
    case Kind::day_1_to_365:
      days =
          base::days_from_civil(year, 1, 1) + day - 1 + (day >= 60 && is_leap_year(year) ? 1 : 0);
      break;
    case Kind::day_0_to_365:
      days = base::days_from_civil(year, 1, 1) + day;
      break;
    case Kind::weekday_of_month: {
      const int64_t first = base::days_from_civil(year, month, 1);
      const int64_t next_month = month == 12 ? base::days_from_civil(year + 1, 1, 1)
                                             : base::days_from_civil(year, month + 1, 1);
      const int64_t first_weekday = ((first + 4) % 7 + 7) % 7;  // 1970-01-01 was a Thursday.
      days = first + (weekday - first_weekday + 7) % 7 + (week - 1) * 7;
      if (days >= next_month) days -= 7;
      break;
    }
  }
  return days * kDayS + time_s;
}

ZoneRule::State ZoneRule::at(int64_t local_s) const {
  State latest{INT64_MIN, standard_s_};
  if (!has_summer_) return latest;
  // A change counts from the local time on that exists behind it only: a gap is read with the
  // offset before it, and so is an overlap. The times of a rule may lie up to a week outside of
  // their year, so the neighbours are looked at too.
  const int64_t greater_s = std::max(standard_s_, summer_s_);
  const int64_t year = year_of(local_s);
  const auto consider = [&](int64_t from_s, int32_t then_s) {
    if (from_s <= local_s && from_s >= latest.local_from_s) latest = {from_s, then_s};
  };
  for (int64_t y = year - 1; y <= year + 1; ++y) {
    consider(summer_ends_.in_year(y) - summer_s_ + greater_s, standard_s_);
    // The second of the two, for a zone that has summer time all year: then both are one instant.
    consider(summer_begins_.in_year(y) - standard_s_ + greater_s, summer_s_);
  }
  return latest;
}

// Takes the text apart from the front.
class ZoneRuleParser {
 public:
  explicit ZoneRuleParser(std::string_view text) : rest_(text) {}

  bool parse(ZoneRule* rule) {
    if (!take_name() || !take_offset(&rule->standard_s_)) return false;
    if (rest_.empty()) return true;
    if (!take_name()) return false;
    rule->has_summer_ = true;
    rule->summer_s_ = rule->standard_s_ + 3600;
    if (!rest_.starts_with(',') && !take_offset(&rule->summer_s_)) return false;
    return take_year_time(&rule->summer_begins_) && take_year_time(&rule->summer_ends_) &&
           rest_.empty();
  }

 private:
  using YearTime = ZoneRule::YearTime;

  bool take(char c) {
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  bool take_number(int least, int greatest, int* value) {
    size_t count = 0;
    *value = 0;
    while (count < rest_.size() && count < 3 && is_digit(rest_[count])) {
      *value = *value * 10 + (rest_[count++] - '0');
    }
    rest_.remove_prefix(count);
    return count > 0 && *value >= least && *value <= greatest;
  }
  // "EST" or "<+08>"; at least three characters.
  bool take_name() {
    const bool quoted = take('<');
    size_t count = 0;
    const auto belongs = [quoted](char c) {
      return is_letter(c) || (quoted && (is_digit(c) || c == '+' || c == '-'));
    };
    while (count < rest_.size() && belongs(rest_[count])) ++count;
    rest_.remove_prefix(count);
    return count >= 3 && (!quoted || take('>'));
  }
  // "[+|-]hh[:mm[:ss]]".
  bool take_time(int hours_max, int32_t* time_s) {
    const bool negative = take('-');
    if (!negative) take('+');
    int hours = 0;
    int minutes = 0;
    int seconds = 0;
    if (!take_number(0, hours_max, &hours)) return false;
    if (take(':')) {
      if (!take_number(0, 59, &minutes)) return false;
      if (take(':') && !take_number(0, 59, &seconds)) return false;
    }
    *time_s = (negative ? -1 : 1) * ((hours * 60 + minutes) * 60 + seconds);
    return true;
  }
  bool take_offset(int32_t* offset_s) {
    if (!take_time(24, offset_s)) return false;
    *offset_s = -*offset_s;  // POSIX counts to the west.
    return true;
  }
  bool take_year_time(YearTime* out) {
    if (!take(',')) return false;
    bool good = false;
    if (take('M')) {
      out->kind = YearTime::Kind::weekday_of_month;
      good = take_number(1, 12, &out->month) && take('.') && take_number(1, 5, &out->week) &&
             take('.') && take_number(0, 6, &out->weekday);
    } else if (take('J')) {
      out->kind = YearTime::Kind::day_1_to_365;
      good = take_number(1, 365, &out->day);
    } else {
      good = take_number(0, 365, &out->day);
    }
    return good && (!take('/') || take_time(167, &out->time_s));
  }

  std::string_view rest_;
};

std::optional<ZoneRule> ZoneRule::parse(std::string_view text) {
  ZoneRule rule;
  if (!ZoneRuleParser(text).parse(&rule)) return std::nullopt;
  return rule;
}

}  // namespace postback::conversion
