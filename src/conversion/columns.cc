#include "conversion/columns.h"

#include <algorithm>
#include <optional>

#include "base/byte_window.h"
#include "base/utf8.h"
#include "conversion/ascii.h"
#include "conversion/date_time.h"
#include "conversion/macro.h"

namespace postback::conversion {
namespace {

using Item = ParameterTable::Item;

constexpr size_t kConversionIdBytesMax = 255;

struct TextColumn {
  Column column;
  Field field;
  size_t characters_max;  // 0: no limit of its own.
};
constexpr TextColumn kTextColumns[] = {
    {Column::offer_id, Field::offer_id, 50},  {Column::offer_name, Field::offer_name, 0},
    {Column::media_id, Field::media_id, 255}, {Column::sub_id, Field::sub_id, 255},
    {Column::click_id, Field::click_id, 255},
};

const Item* chosen(const ParameterTable& table, Column column) {
  return table.chosen(static_cast<size_t>(column));
}

bool has_control_byte(std::string_view text) {
  using base::ByteWindow;
  for (size_t start = 0; start < text.size(); start += ByteWindow::kBytes) {
    const size_t size = std::min(ByteWindow::kBytes, text.size() - start);
    const ByteWindow window(text.data() + start, size);
    if ((window.control() & ((1u << size) - 1)) != 0) return true;
  }
  return false;
}

bool has_only_spaces(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  return text.empty();
}

bool is_integer(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  for (const char c : text) {
    if (!is_digit(c)) return false;
  }
  return !text.empty();
}

// Whether a name came from one source with two values.
bool is_ambiguous(const ParameterTable& table, uint16_t name_index) {
  bool seen[2] = {false, false};
  for (int i = table.first_of(name_index); i != ParameterTable::kNone; i = table.item(i).next) {
    bool& source_seen = seen[static_cast<size_t>(table.item(i).parameter.source)];
    if (source_seen) return true;
    source_seen = true;
  }
  return false;
}

Reason conversion_id_fault(const Mapping::Impl& mapping, const Item* item) {
  if (item == nullptr) return Reason::conversion_id_missing;
  const Parameter& parameter = item->parameter;
  if (has_only_spaces(parameter.value)) return Reason::conversion_id_missing;
  if (item->repaired || parameter.value.size() > kConversionIdBytesMax ||
      has_control_byte(parameter.value) || (parameter.is_json && !is_integer(parameter.value))) {
    return Reason::conversion_id_invalid;
  }
  if (is_unexpanded_macro(parameter.value) || is_null_word(trimmed(parameter.value))) {
    return Reason::conversion_id_macro;
  }
  const Mapping::Impl::Entry& entry = mapping.entry(Column::conversion_id);
  for (const uint16_t name_index : {entry.name, entry.partner_name}) {
    if (is_own_name(parameter.value, mapping.names[name_index])) return Reason::conversion_id_macro;
  }
  return Reason::none;
}

// Names the partner's own parameter too: it is the one that its people know.
std::string missing_message(const Mapping::Impl& mapping) {
  const Mapping::Impl::Entry& entry = mapping.entry(Column::conversion_id);
  if (entry.partner_name == entry.name) return "The postback has no conversion_id";
  return "The postback has neither conversion_id nor " + mapping.names[entry.partner_name] +
         ", the partner's own name for it";
}

std::string conversion_id_message(const Mapping::Impl& mapping, Reason reason, const Item* item) {
  if (item == nullptr) return missing_message(mapping);
  std::string message(item->parameter.name);
  if (reason == Reason::conversion_id_missing) return message + " is empty";
  message += ' ';
  append_shown(&message, item->parameter.value);
  if (reason == Reason::conversion_id_macro) {
    return message + " is a macro that the network did not expand: correct the postback URL";
  }
  if (item->repaired) return message + " holds bytes that are not UTF-8, or NUL";
  if (item->parameter.value.size() > kConversionIdBytesMax) {
    return message + " is longer than 255 bytes";
  }
  if (item->parameter.is_json) return message + " is neither text nor an integer";
  return message + " holds control characters";
}

bool check_conversion_id(const Mapping::Impl& mapping, const ParameterTable& table, Fault* fault) {
  const Mapping::Impl::Entry& entry = mapping.entry(Column::conversion_id);
  for (const uint16_t name_index : {entry.name, entry.partner_name}) {
    if (!is_ambiguous(table, name_index)) continue;
    const std::string& name = mapping.names[name_index];
    fault->raise(Reason::duplicate_key, name, name + " came more than once, with different values");
    return false;
  }
  const Item* item = chosen(table, Column::conversion_id);
  const Reason reason = conversion_id_fault(mapping, item);
  if (reason == Reason::none) return true;
  fault->raise(reason,
               item == nullptr ? mapping.name_of(Column::conversion_id) : item->parameter.name,
               conversion_id_message(mapping, reason, item));
  return false;
}

// Apart, so that the usual path stays short.
[[gnu::noinline]] void note_macro(const Mapping::Impl& mapping, Column column, const Item& item,
                                  Notes* notes) {
  std::string* note = notes->start(mapping.name_of(column));
  note->append(" is the unexpanded macro ");
  append_shown(note, item.parameter.value);
}

// An unexpanded macro leaves any column but conversion_id empty.
inline bool noted_as_macro(const Mapping::Impl& mapping, Column column, const Item& item,
                           Notes* notes) {
  if (item.parameter.is_json || !is_unexpanded_macro(item.parameter.value)) return false;
  note_macro(mapping, column, item, notes);
  return true;
}

// False with a fault when there is an amount that cannot be read exactly.
bool read_amount(const Mapping::Impl& mapping, const ParameterTable& table, Column column,
                 std::optional<Decimal>* amount, Notes* notes, Fault* fault) {
  const Item* item = chosen(table, column);
  if (item == nullptr || noted_as_macro(mapping, column, *item, notes)) return true;
  Decimal decimal;
  if (Decimal::parse(trimmed(item->parameter.value), &decimal)) {
    *amount = decimal;
    return true;
  }
  std::string message(item->parameter.name);
  message += ' ';
  append_shown(&message, item->parameter.value);
  message += " is not an amount: write digits with an optional sign and decimal point, at most " +
             std::to_string(Decimal::kIntegerDigitsMax) + " before and " +
             std::to_string(Decimal::kScaleMax) + " behind the point";
  fault->raise(Reason::amount_invalid, item->parameter.name, message);
  return false;
}

bool fill_amounts(const Mapping::Impl& mapping, const ParameterTable& table, Conversion* out,
                  Notes* notes, Fault* fault) {
  std::optional<Decimal> payout;
  if (!read_amount(mapping, table, Column::usd_sale_amount, &out->usd_sale_amount, notes, fault) ||
      !read_amount(mapping, table, Column::usd_earning, &out->usd_earning, notes, fault) ||
      !read_amount(mapping, table, Column::usd_payout, &payout, notes, fault)) {
    return false;
  }
  if (!payout) return true;
  if (!out->usd_earning) {
    out->usd_earning = payout;
  } else if (!(*out->usd_earning == *payout)) {
    notes->start("usd_earning")->append(" and usd_payout differ: usd_earning is used");
  }
  return true;
}

void fill_text(const Mapping::Impl& mapping, const ParameterTable& table, const TextColumn& text,
               Conversion* out, Notes* notes) {
  const Item* item = chosen(table, text.column);
  if (item == nullptr || noted_as_macro(mapping, text.column, *item, notes)) return;
  const std::string_view value = item->parameter.value;
  // A character has at least one byte, so most values need no counting.
  if (text.characters_max != 0 && value.size() > text.characters_max &&
      base::utf8_character_count(value) > text.characters_max) {
    notes->start(mapping.name_of(text.column))
        ->append(" has more than " + std::to_string(text.characters_max) + " characters");
    return;
  }
  out->set(text.field, value);
}

void fill_date(const Mapping::Impl& mapping, const ParameterTable& table, Conversion* out,
               Notes* notes) {
  const Item* item = chosen(table, Column::conversion_datetime);
  if (item == nullptr || trimmed(item->parameter.value).empty()) return;
  if (noted_as_macro(mapping, Column::conversion_datetime, *item, notes)) return;
  int64_t time_us = 0;
  const DateFault fault = parse_date_time(item->parameter.value, mapping.zone, &time_us);
  if (fault == DateFault::none) {
    out->conversion_datetime_us = time_us;
    return;
  }
  std::string* note = notes->start(mapping.name_of(Column::conversion_datetime));
  note->push_back(' ');
  append_shown(note, item->parameter.value);
  note->append(" ").append(date_fault_text(fault));
}

}  // namespace

void fill_columns(const Mapping::Impl& mapping, const ParameterTable& table, Conversion* out,
                  Notes* notes, Fault* fault) {
  if (!check_conversion_id(mapping, table, fault)) return;
  if (!fill_amounts(mapping, table, out, notes, fault)) return;
  out->set(Field::conversion_id, chosen(table, Column::conversion_id)->parameter.value);
  for (const TextColumn& text : kTextColumns) fill_text(mapping, table, text, out, notes);
  fill_date(mapping, table, out, notes);
}

void fill_conversion_id_if_readable(const Mapping::Impl& mapping, const ParameterTable& table,
                                    Conversion* out) {
  const Mapping::Impl::Entry& entry = mapping.entry(Column::conversion_id);
  if (is_ambiguous(table, entry.name) || is_ambiguous(table, entry.partner_name)) return;
  const Item* item = chosen(table, Column::conversion_id);
  const Reason reason = conversion_id_fault(mapping, item);
  if (reason == Reason::none || reason == Reason::conversion_id_macro) {
    out->set(Field::conversion_id, item->parameter.value);
  }
}

}  // namespace postback::conversion
