#include "conversion/reader.h"

#include "base/text_buffer.h"
#include "conversion/ascii.h"
#include "conversion/columns.h"
#include "conversion/content_type.h"
#include "conversion/json_body.h"
#include "conversion/known_layouts.h"
#include "conversion/mapping_impl.h"
#include "conversion/notes.h"
#include "conversion/parameter_list.h"
#include "conversion/parameter_table.h"
#include "conversion/raw_data.h"
#include "conversion/urlencoded.h"

namespace postback::conversion {

namespace {

bool starts_object(std::string_view body) {
  if (body.starts_with("\xEF\xBB\xBF")) body.remove_prefix(3);
  const size_t first = body.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && body[first] == '{';
}

}  // namespace

// The memory of a reader, used again for every postback.
struct Reader::Impl {
  ParameterList list;
  UrlDecoder query_decoder;
  UrlDecoder form_decoder;
  JsonBody json_body;
  ParameterTable table;
  KnownLayouts layouts;
  QueryLayout* layout = nullptr;  // Of the last read(), when it was known.
  RawDataWriter raw_data;
  HeadersWriter headers;
  Notes notes;
  base::TextBuffer json;
  const Mapping::Impl* mapping = nullptr;  // Of the last read().
  std::vector<MappedStep> steps;
  bool form_looks_like_json = false;

  const ParameterTable& parameters() const { return layout != nullptr ? layout->table() : table; }
  void sort_out_parameters(const Mapping& mapping, const RawPostback& raw);
  void read_parameters(const RawPostback& raw);
  void read_body(const RawPostback& raw);
  void write_json(const Mapping::Impl& compiled, const RawPostback& raw, Conversion* out);
  void collect_steps();
  void write_quarantine(const Mapping::Impl& compiled, const RawPostback& raw, Conversion* out);
};

Reader::Reader() : impl_(std::make_unique<Impl>()) {}
Reader::~Reader() = default;

Reason Reader::read(const Mapping& mapping, const RawPostback& raw, Conversion* out) {
  const Mapping::Impl& compiled = mapping.impl();
  out->clear();
  out->partner_id = compiled.partner_id;
  out->received_at_us = raw.received_at_us;
  impl_->list.clear();
  impl_->notes.clear();
  impl_->form_looks_like_json = false;

  impl_->sort_out_parameters(mapping, raw);
  impl_->mapping = &compiled;
  Fault& fault = impl_->list.fault();
  if (!fault.found()) fill_columns(compiled, impl_->parameters(), out, &impl_->notes, &fault);
  if (fault.reason == Reason::conversion_id_missing && impl_->form_looks_like_json) {
    fault.message +=
        "; the body looks like JSON but its Content-Type says that it is a form: send "
        "application/json";
  }

  impl_->write_json(compiled, raw, out);
  if (!raw.request_ip.empty()) out->set(Field::request_ip, raw.request_ip);
  if (fault.found()) {
    impl_->write_quarantine(compiled, raw, out);
  } else if (!impl_->notes.text().empty()) {
    out->set(Field::processing_error, impl_->notes.text());
  }
  return out->reason;
}

std::span<const MappedStep> Reader::steps() const {
  impl_->collect_steps();
  return impl_->steps;
}

// A query whose layout is known needs no more than its values.
void Reader::Impl::sort_out_parameters(const Mapping& mapping, const RawPostback& raw) {
  const bool has_body = raw.method == "POST" && !raw.body.empty();
  layout = has_body ? nullptr : layouts.find(mapping, raw.query);
  if (layout != nullptr) return;
  read_parameters(raw);
  table.build(mapping.impl(), list.parameters(), &notes);
  if (!has_body && !list.fault().found() && notes.text().empty()) {
    layouts.learn(mapping, raw.query, list.parameters());
  }
}

// The body comes first, because it wins over the query for the same name.
void Reader::Impl::read_parameters(const RawPostback& raw) {
  if (raw.method == "POST") read_body(raw);
  query_decoder.parse(raw.query, Parameter::Source::query, &list);
}

void Reader::Impl::read_body(const RawPostback& raw) {
  // Without a body its type does not matter.
  if (raw.body.empty()) return;
  BodyKind kind = body_kind(raw.content_type);
  if (kind == BodyKind::none) kind = starts_object(raw.body) ? BodyKind::json : BodyKind::form;
  switch (kind) {
    case BodyKind::none:
    case BodyKind::form:
      form_looks_like_json = starts_object(raw.body);
      return form_decoder.parse(raw.body, Parameter::Source::body, &list);
    case BodyKind::json:
      return json_body.parse(raw.body, &list);
    case BodyKind::unsupported:
      break;
  }
  std::string message = "The Content-Type ";
  append_shown(&message, raw.content_type);
  message +=
      " cannot be read: send application/x-www-form-urlencoded or application/json, in UTF-8";
  list.fault().raise(Reason::unsupported_media_type, {}, message);
}

void Reader::Impl::write_json(const Mapping::Impl& compiled, const RawPostback& raw,
                              Conversion* out) {
  constexpr size_t kJsonBytesKept = 64 * 1024;
  json.clear(kJsonBytesKept);
  if (layout != nullptr) {
    layout->append_raw_data(&json);
  } else {
    raw_data.append_raw_data(compiled, table, &json);
  }
  const size_t raw_data_bytes = json.size();
  headers.append(raw.headers, raw.header_section, &json);
  out->set(Field::raw_data, json.view().substr(0, raw_data_bytes));
  out->set(Field::request_headers, json.view().substr(raw_data_bytes));
}

void Reader::Impl::collect_steps() {
  steps.clear();
  if (mapping == nullptr) return;
  for (size_t i = 0; i < mapping->entries.size(); ++i) {
    const Mapping::Impl::Entry& entry = mapping->entries[i];
    const ParameterTable::Item* value = parameters().chosen(i);
    if (!entry.mapped || value == nullptr) continue;
    steps.push_back({.name = mapping->names[entry.name],
                     .partner_name = mapping->names[entry.partner_name],
                     .value = value->parameter.value});
  }
}

void Reader::Impl::write_quarantine(const Mapping::Impl& compiled, const RawPostback& raw,
                                    Conversion* out) {
  const Fault& fault = list.fault();
  out->reason = fault.reason;
  out->usd_sale_amount.reset();
  out->usd_earning.reset();
  fill_conversion_id_if_readable(compiled, parameters(), out);
  if (!fault.field.empty()) out->set(Field::fault_field, fault.field);
  out->set(Field::fault_message, fault.message);
  out->set(Field::method, raw.method);
  out->set(Field::target, raw.target);
  if (!raw.body.empty()) out->set(Field::body, raw.body);
}

}  // namespace postback::conversion
