#include "conversion/raw_data.h"

#include "base/json_writer.h"
#include "conversion/ascii.h"

namespace postback::conversion {
namespace {

using Item = ParameterTable::Item;

void append_value(const Parameter& parameter, std::string* out) {
  if (parameter.is_json) {
    out->append(parameter.value);
  } else {
    base::append_json_string(out, parameter.value);
  }
}

// A comma, unless the object opened at `start` has no member yet.
void append_comma(size_t start, std::string* out) {
  if (out->size() > start + 1) out->push_back(',');
}

void append_item(const ParameterTable& table, const Item& item, std::string* out) {
  base::append_json_string(out, item.parameter.name);
  out->push_back(':');
  if (item.next == ParameterTable::kNone) return append_value(item.parameter, out);
  out->push_back('[');
  append_value(item.parameter, out);
  for (int i = item.next; i != ParameterTable::kNone; i = table.item(i).next) {
    out->push_back(',');
    append_value(table.item(i).parameter, out);
  }
  out->push_back(']');
}

// Whether headers[index] repeats the name of one before it.
bool is_repeated(std::span<const Header> headers, size_t index) {
  for (size_t i = 0; i < index; ++i) {
    if (equals_ignoring_case(headers[i].name, headers[index].name)) return true;
  }
  return false;
}

}  // namespace

void RawDataWriter::append_raw_data(const Mapping::Impl& mapping, const ParameterTable& table,
                                    std::string* out) {
  const size_t start = out->size();
  out->push_back('{');
  for (const Item& item : table.items()) {
    if (!item.first) continue;
    append_comma(start, out);
    append_item(table, item, out);
  }
  added_.assign(mapping.names.size(), false);
  for (size_t i = 0; i < mapping.entries.size(); ++i) {
    const Mapping::Impl::Entry& entry = mapping.entries[i];
    const Item* value = table.chosen(i);
    if (value == nullptr || entry.name == entry.partner_name) continue;
    for (const uint16_t name : {entry.name, entry.partner_name}) {
      if (table.first_of(name) != ParameterTable::kNone || added_[name]) continue;
      added_[name] = true;
      append_comma(start, out);
      base::append_json_string(out, mapping.names[name]);
      out->push_back(':');
      append_value(value->parameter, out);
    }
  }
  out->push_back('}');
}

void append_headers(std::span<const Header> headers, std::string* out) {
  const size_t start = out->size();
  out->push_back('{');
  for (size_t i = 0; i < headers.size(); ++i) {
    if (is_repeated(headers, i)) continue;
    append_comma(start, out);
    base::append_json_string(out, headers[i].name);
    out->push_back(':');
    base::append_json_string(out, headers[i].value);
    for (size_t later = i + 1; later < headers.size(); ++later) {
      if (!equals_ignoring_case(headers[i].name, headers[later].name)) continue;
      // Goes on inside the string: its closing quote gives way to the separator, and the next
      // value's opening quote is dropped.
      out->pop_back();
      out->append(", ");
      const size_t quote = out->size();
      base::append_json_string(out, headers[later].value);
      out->erase(quote, 1);
    }
  }
  out->push_back('}');
}

}  // namespace postback::conversion
