#include "conversion/raw_data.h"

#include "base/json_writer.h"
#include "conversion/ascii.h"

namespace postback::conversion {
namespace {

using base::json_string_bytes_max;
using base::put;
using base::put_json_string;
using base::TextBuffer;
using Item = ParameterTable::Item;

// Both objects are written with a comma behind every member; the last one gives way to the brace.
void close_object(char* to, bool is_empty, TextBuffer* out) {
  out->close(is_empty ? put(to, '}') : put(to - 1, '}'));
}

constexpr size_t value_bytes_max(const Parameter& parameter) {
  return json_string_bytes_max(parameter.value.size()) + 1;  // And a comma.
}

char* put_value(char* to, const Parameter& parameter) {
  to = parameter.is_json ? put(to, parameter.value) : put_json_string(to, parameter.value);
  return put(to, ',');
}

char* put_name(char* to, const Mapping::Impl& mapping, const Item& item) {
  if (item.name_index != ParameterTable::kNone) {
    return put(to, mapping.json_names[static_cast<size_t>(item.name_index)]);
  }
  return put(put_json_string(to, item.parameter.name), ':');
}

// All values of the name whose first item this is.
void append_values(const ParameterTable& table, const Item& first, TextBuffer* out) {
  out->close(put(out->open(1), '['));
  for (const Item* item = &first;; item = &table.item(item->next)) {
    out->close(put_value(out->open(value_bytes_max(item->parameter)), item->parameter));
    if (item->next == ParameterTable::kNone) break;
  }
  // One more byte than the comma that gives way.
  out->close(put(out->open(1) - 1, "],"));
}

void append_item(const Mapping::Impl& mapping, const ParameterTable& table, const Item& item,
                 TextBuffer* out) {
  const Parameter& parameter = item.parameter;
  char* to =
      out->open(json_string_bytes_max(parameter.name.size()) + 1 + value_bytes_max(parameter));
  to = put_name(to, mapping, item);
  if (item.next == ParameterTable::kNone) {
    out->close(put_value(to, parameter));
  } else {
    out->close(to);
    append_values(table, item, out);
  }
}

// Of the value that was written last: its closing quote and a comma stand behind it.
void add_place(const ParameterTable& table, const Item& item, const TextBuffer& out,
               std::vector<RawDataWriter::Place>* places) {
  places->push_back({.position = out.size() - 2 - item.parameter.value.size(),
                     .item = static_cast<int>(&item - table.items().data())});
}

// Whether headers[index] repeats the name of one before it.
bool is_repeated(std::span<const Header> headers, size_t index) {
  for (const Header& header : headers.first(index)) {
    if (equals_ignoring_case(header.name, headers[index].name)) return true;
  }
  return false;
}

}  // namespace

void RawDataWriter::append_raw_data(const Mapping::Impl& mapping, const ParameterTable& table,
                                    TextBuffer* out, std::vector<Place>* places) {
  const size_t start = out->size();
  out->close(put(out->open(1), '{'));
  for (const Item& item : table.items()) {
    if (!item.first) continue;
    append_item(mapping, table, item, out);
    if (places != nullptr) add_place(table, item, *out, places);
  }
  added_.assign(mapping.names.size(), 0);
  for (size_t i = 0; i < mapping.entries.size(); ++i) {
    const Mapping::Impl::Entry& entry = mapping.entries[i];
    const Item* value = table.chosen(i);
    if (value == nullptr || entry.name == entry.partner_name) continue;
    for (const uint16_t name : {entry.name, entry.partner_name}) {
      if (table.first_of(name) != ParameterTable::kNone || added_[name] != 0) continue;
      added_[name] = 1;
      const std::string_view json_name = mapping.json_names[name];
      char* to = out->open(json_name.size() + value_bytes_max(value->parameter));
      out->close(put_value(put(to, json_name), value->parameter));
      if (places != nullptr) add_place(table, *value, *out, places);
    }
  }
  const bool is_empty = out->size() == start + 1;
  close_object(out->open(1), is_empty, out);
}

void append_headers(std::span<const Header> headers, TextBuffer* out) {
  out->close(put(out->open(1), '{'));
  for (size_t i = 0; i < headers.size(); ++i) {
    if (is_repeated(headers, i)) continue;
    const Header& header = headers[i];
    char* to = out->open(json_string_bytes_max(header.name.size()) + 1 +
                         json_string_bytes_max(header.value.size()) + 1);
    to = put(put_json_string(to, header.name), ':');
    to = put_json_string(to, header.value);
    out->close(put(to, ','));
    for (size_t later = i + 1; later < headers.size(); ++later) {
      if (!equals_ignoring_case(header.name, headers[later].name)) continue;
      // Goes on inside the string: its closing quote and the comma give way to the separator, and
      // the opening quote of the next value to the separator's space.
      const std::string_view value = headers[later].value;
      to = out->open(json_string_bytes_max(value.size()) + 1);
      char* const quote = to - 1;
      char* end = put_json_string(quote, value);
      put(to - 2, ", ");
      out->close(put(end, ','));
    }
  }
  close_object(out->open(1), headers.empty(), out);
}

void HeadersWriter::append(std::span<const Header> headers, std::string_view section,
                           TextBuffer* out) {
  Known& known = known_[section.size() % kSlots];
  if (!section.empty() && known.section == section) {
    out->close(put(out->open(known.json.size()), known.json));
    return;
  }
  const size_t start = out->size();
  append_headers(headers, out);
  if (section.empty() || section.size() > kSectionBytesMax) return;
  known.section = section;
  known.json = out->view().substr(start);
}

}  // namespace postback::conversion
