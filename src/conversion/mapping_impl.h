// What a Mapping compiles to. Only src/conversion reads it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "conversion/mapping.h"
#include "conversion/time_zone.h"

namespace postback::conversion {

// The left names that feed columns. usd_payout feeds the column usd_earning, like usd_earning.
enum class Column : uint8_t {
  conversion_id,
  offer_id,
  offer_name,
  conversion_datetime,
  usd_sale_amount,
  usd_earning,
  usd_payout,
  media_id,
  sub_id,
  click_id,
  kCount,
};
constexpr size_t kColumnCount = static_cast<size_t>(Column::kCount);

struct Mapping::Impl {
  struct Entry {
    uint16_t name = 0;          // Left: index into `names`.
    uint16_t partner_name = 0;  // Right; the same as `name` when nobody mapped it.
    bool mapped = false;        // It stands in the partner's parameter_mapping.
  };

  int32_t partner_id = 0;
  TimeZone zone;
  // The columns in the order of Column, then the left names that are no columns.
  std::vector<Entry> entries;
  std::vector<std::string> names;       // Every left and right name, once.
  std::vector<std::string> json_names;  // The same as members of an object: "sub_id":

  const Entry& entry(Column column) const { return entries[static_cast<size_t>(column)]; }
  std::string_view name_of(Column column) const { return names[entry(column).name]; }
  // The index of `name` in `names`, or -1.
  int find(std::string_view name) const {
    for (size_t slot = hash(name) & slot_mask;; slot = (slot + 1) & slot_mask) {
      const int index = slots[slot];
      if (index < 0 || names[static_cast<size_t>(index)] == name) return index;
    }
  }

  // Open addressing, at most a quarter full, so a search ends soon. Built once by compile().
  std::vector<int16_t> slots;
  size_t slot_mask = 0;

  // Names differ in their size and at their ends; the table is the operator's, so nobody outside
  // can choose names that collide in it.
  static size_t hash(std::string_view name) {
    if (name.empty()) return 0;
    const auto byte = [name](size_t i) {
      return static_cast<size_t>(static_cast<uint8_t>(name[i]));
    };
    return name.size() * 131 + byte(0) * 31 + byte(name.size() / 2) * 17 + byte(name.size() - 1);
  }
};

}  // namespace postback::conversion
