// Fuzz target of conversion/zone_table and zone_rule: whatever stands in the file, every local time
// is read with some offset of at most 26 hours, the same each time, and in the order of the times.
#include <cstdint>
#include <string>

#include "base/check.h"
#include "conversion/zone_table.h"
#include "input.h"

namespace {

using postback::conversion::ZoneRule;
using postback::conversion::ZoneTable;

constexpr int64_t kDayS = 86'400;
constexpr int64_t kYear9999S = int64_t{2'932'897} * kDayS;

void check_rule(std::string_view text) {
  const auto rule = ZoneRule::parse(text);
  if (!rule.has_value()) return;
  int64_t before_s = INT64_MIN;
  for (int64_t local_s = 0; local_s < kYear9999S; local_s += 997 * kDayS + 12'345) {
    const ZoneRule::State state = rule->at(local_s);
    CHECK(state.local_from_s <= local_s && state.local_from_s >= before_s);
    CHECK(state.offset_s >= -26 * 3600 && state.offset_s <= 26 * 3600);
    // What holds now held from its beginning on.
    if (state.local_from_s != INT64_MIN) {
      CHECK(rule->at(state.local_from_s).offset_s == state.offset_s);
    }
    before_s = state.local_from_s;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes = postback::fuzz::text_of(data, size);
  check_rule(bytes);
  auto table = ZoneTable::parse(bytes);
  if (!table.ok()) {
    postback::fuzz::check_message(table.status().message());
    return 0;
  }
  for (int64_t local_s = -kDayS; local_s < kYear9999S; local_s += 1009 * kDayS + 54'321) {
    const int32_t offset_s = table.value().offset_s(local_s);
    CHECK(offset_s >= -26 * 3600 && offset_s <= 26 * 3600);
    CHECK(offset_s == table.value().offset_s(local_s));
  }
  return 0;
}
