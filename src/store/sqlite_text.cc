#include "store/sqlite_text.h"

#include <cstddef>

#include "base/time.h"

namespace postback::store {
namespace {

constexpr std::string_view kTimeForm = "0000-00-00T00:00:00.000000Z";

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

int64_t number(std::string_view digits) {
  int64_t value = 0;
  for (const char digit : digits) value = value * 10 + (digit - '0');
  return value;
}

}  // namespace

void set_time_text(std::string* out, int64_t time_us) {
  out->clear();
  base::append_iso8601(out, time_us);
  if (out->size() < kTimeForm.size()) {
    out->pop_back();
    out->append(".000000Z");
  }
}

bool parse_time_text(std::string_view text, int64_t* out) {
  if (text.size() != kTimeForm.size()) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (kTimeForm[i] == '0' ? !is_digit(text[i]) : text[i] != kTimeForm[i]) return false;
  }
  const int64_t days =
      base::days_from_civil(number(text.substr(0, 4)), static_cast<int>(number(text.substr(5, 2))),
                            static_cast<int>(number(text.substr(8, 2))));
  const int64_t seconds = days * 86'400 + number(text.substr(11, 2)) * 3600 +
                          number(text.substr(14, 2)) * 60 + number(text.substr(17, 2));
  *out = seconds * 1'000'000 + number(text.substr(20, 6));
  return true;
}

bool parse_sum(std::string_view text, Decimal* out) {
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  const size_t point = text.find('.');
  const size_t scale = point == std::string_view::npos ? 0 : text.size() - point - 1;
  const size_t digit_count = text.size() - (point == std::string_view::npos ? 0 : 1);
  constexpr size_t kDigitsMax = 39;  // As many as 2^127 has.
  if (digit_count == 0 || digit_count > kDigitsMax || scale > Decimal::kScaleMax) return false;
  __int128 units = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (i == point) continue;
    if (!is_digit(text[i])) return false;
    if (__builtin_mul_overflow(units, 10, &units) ||
        __builtin_add_overflow(units, text[i] - '0', &units)) {
      return false;
    }
  }
  out->units = negative ? -units : units;
  out->scale = static_cast<uint8_t>(scale);
  return true;
}

}  // namespace postback::store
