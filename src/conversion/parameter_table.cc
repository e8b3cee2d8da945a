#include "conversion/parameter_table.h"

#include <cstring>

#include "base/utf8.h"
#include "conversion/json_text.h"

namespace postback::conversion {
namespace {

// Nearly all text is ASCII without NUL; eight bytes at a time.
bool is_ascii_without_nul(std::string_view text) {
  constexpr uint64_t kHighBits = 0x8080808080808080;
  constexpr uint64_t kOnes = 0x0101010101010101;
  size_t position = 0;
  for (; text.size() - position >= sizeof(uint64_t); position += sizeof(uint64_t)) {
    uint64_t word = 0;
    std::memcpy(&word, text.data() + position, sizeof word);
    // Subtracting one sets the high bit of a byte that is zero.
    if (((word | (word - kOnes)) & kHighBits) != 0) return false;
  }
  for (; position < text.size(); ++position) {
    if (static_cast<signed char>(text[position]) <= 0) return false;
  }
  return true;
}

bool is_clean(std::string_view text) {
  return is_ascii_without_nul(text) ||
         (text.find('\0') == std::string_view::npos && base::is_valid_utf8(text));
}

}  // namespace

void ParameterTable::build(const Mapping::Impl& mapping, std::span<const Parameter> parameters,
                           Notes* notes) {
  items_.clear();
  repaired_.clear();
  first_of_name_.assign(mapping.names.size(), kNone);
  chosen_.assign(mapping.entries.size(), kNone);
  for (const Parameter& parameter : parameters) {
    Item& item = items_.emplace_back();
    item.parameter = parameter;
    if (!parameter.is_ascii) repair_if_needed(&item, parameters, notes);
    link(mapping, static_cast<int>(items_.size()) - 1, notes);
  }
  choose(mapping, notes);
}

void ParameterTable::repair_if_needed(Item* item, std::span<const Parameter> parameters,
                                      Notes* notes) {
  Parameter& parameter = item->parameter;
  const bool clean_name = is_clean(parameter.name);
  const bool clean_value = parameter.is_json
                               ? parameter.value.find("\\u0000") == parameter.value.npos
                               : is_clean(parameter.value);
  if (clean_name && clean_value) return;
  if (repaired_.empty()) {
    // A replaced byte becomes three.
    size_t bytes_max = 0;
    for (const Parameter& each : parameters)
      bytes_max += 3 * (each.name.size() + each.value.size());
    repaired_.reserve(bytes_max);
  }
  const size_t name_start = repaired_.size();
  if (!clean_name) {
    base::append_repaired_utf8(&repaired_, parameter.name);
    parameter.name = std::string_view(repaired_).substr(name_start);
  }
  const size_t value_start = repaired_.size();
  if (!clean_value) {
    // "\\u0000" in JSON text may be an escaped backslash before "u0000": then nothing is replaced.
    item->repaired = parameter.is_json ? append_json_without_nul(&repaired_, parameter.value)
                                       : base::append_repaired_utf8(&repaired_, parameter.value);
    parameter.value = std::string_view(repaired_).substr(value_start);
  }
  if (!clean_name || item->repaired) {
    notes->start(parameter.name)
        ->append(" held bytes that are not UTF-8, or NUL: replaced by U+FFFD");
  }
}

// Links the new last item to the items of the same name before it.
void ParameterTable::link(const Mapping::Impl& mapping, int index, Notes* notes) {
  Item& added = items_[static_cast<size_t>(index)];
  added.name_index = mapping.find(added.parameter.name);
  int earlier = kNone;
  if (added.name_index == kNone) {
    earlier = first_of_unmapped_name(added.parameter.name, index);
  } else {
    ItemIndex& first_index = first_of_name_[static_cast<size_t>(added.name_index)];
    earlier = first_index;
    if (earlier == kNone) first_index = static_cast<ItemIndex>(index);
  }
  if (earlier == kNone) {
    added.first = true;
    return;
  }
  const Item& first = item(earlier);
  // One note per name; and null disagrees with nothing.
  const bool to_note = first.next == kNone && !first.is_null() && !added.is_null();
  const bool same_source = first.parameter.source == added.parameter.source;
  while (true) {
    Item& before = items_[static_cast<size_t>(earlier)];
    if (before.parameter.value == added.parameter.value) {
      added.dropped = true;
      return;
    }
    if (before.next == kNone) {
      before.next = index;
      break;
    }
    earlier = before.next;
  }
  if (!to_note) return;
  notes->start(added.parameter.name)
      ->append(same_source ? " came with different values: the first is used"
                           : " differs between body and query: the body's is used");
}

// Linear: a postback has at most 64 parameters, and those of unknown names are few.
int ParameterTable::first_of_unmapped_name(std::string_view name, int end) const {
  for (int i = 0; i < end; ++i) {
    if (item(i).first && item(i).name_index == kNone && item(i).parameter.name == name) return i;
  }
  return kNone;
}

void ParameterTable::choose(const Mapping::Impl& mapping, Notes* notes) {
  for (size_t i = 0; i < mapping.entries.size(); ++i) {
    const Mapping::Impl::Entry& entry = mapping.entries[i];
    chosen_[i] = static_cast<ItemIndex>(first_value(entry.name));
    if (entry.partner_name == entry.name) continue;
    const int partners = first_value(entry.partner_name);
    if (chosen_[i] == kNone) {
      chosen_[i] = static_cast<ItemIndex>(partners);
    } else if (partners != kNone && item(partners).parameter.value != chosen(i)->parameter.value) {
      notes->start(mapping.names[entry.name])
          ->append(" and ")
          .append(mapping.names[entry.partner_name])
          .append(" differ: ")
          .append(mapping.names[entry.name])
          .append(" is used");
    }
  }
}

}  // namespace postback::conversion
