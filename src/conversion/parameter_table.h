// The parameters of one postback sorted out: each name once with its values, and for each entry of
// the mapping the value that counts. From here on all text is valid UTF-8 without NUL.
//
// Owner: the reader, which reuses it; the views borrow from the request, the decoders and this
// table, until the next build().
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "conversion/mapping_impl.h"
#include "conversion/notes.h"
#include "conversion/parameter_list.h"
#include "postback/parameter.h"

namespace postback::conversion {

class ParameterTable {
 public:
  static constexpr int kNone = -1;

  struct Item {
    Parameter parameter;     // Repaired.
    int name_index = kNone;  // Into the mapping's names, or kNone.
    int next = kNone;        // The next item of this name, with another value than all before it.
    bool first = false;      // The first of its name.
    bool dropped = false;    // Says the same as an item before it.
    bool repaired = false;   // The value held NUL or bytes that are not UTF-8.

    // A JSON null says that there is no value.
    bool is_null() const { return parameter.is_json && parameter.value == "null"; }
  };

  // `parameters`: at most kParametersMax; those that win come first (the body's before the
  // query's). Notes what was replaced, and where values disagree.
  void build(const Mapping::Impl& mapping, std::span<const Parameter> parameters, Notes* notes);

  // Changes what build() found for a parameter whose name came once, under an entry of the mapping
  // that got no other value; `value` is ASCII without NUL, and not JSON. Nothing else changes by
  // it.
  void set_value(int index, std::string_view value) {
    items_[static_cast<size_t>(index)].parameter.value = value;
  }

  ParameterTable() { items_.reserve(kParametersMax); }
  ParameterTable(const ParameterTable&) = delete;
  ParameterTable& operator=(const ParameterTable&) = delete;

  std::span<const Item> items() const { return items_; }
  const Item& item(int index) const { return items_[static_cast<size_t>(index)]; }
  // The index of the first item of a name of the mapping, or kNone.
  int first_of(uint16_t name_index) const { return first_of_name_[name_index]; }
  // The item whose value counts for an entry of the mapping, or null: that under the left name, or
  // else that under the partner's.
  const Item* chosen(size_t entry_index) const {
    const int index = chosen_[entry_index];
    return index == kNone ? nullptr : &item(index);
  }

 private:
  void repair_if_needed(Item* item, std::span<const Parameter> parameters, Notes* notes);
  void link(const Mapping::Impl& mapping, int index, Notes* notes);
  int first_of_unmapped_name(std::string_view name, int end) const;
  // The first item of a name that is not null, or kNone.
  int first_value(uint16_t name_index) const {
    int index = first_of_name_[name_index];
    while (index != kNone && item(index).is_null()) index = item(index).next;
    return index;
  }
  void choose(const Mapping::Impl& mapping, Notes* notes);

  // Index of an item, or kNone. One byte, so that a new postback starts with a short memset.
  using ItemIndex = int8_t;
  static_assert(kParametersMax <= INT8_MAX);

  std::vector<Item> items_;
  std::vector<ItemIndex> first_of_name_;  // By index of the mapping's names.
  std::vector<ItemIndex> chosen_;         // By index of the mapping's entries.
  std::string repaired_;  // Reserved before the first use, so that views into it stay.
};

}  // namespace postback::conversion
