#include "partner/partner_json.h"

#include <simdjson.h>

#include <algorithm>
#include <set>

#include "base/json_writer.h"
#include "base/log.h"
#include "base/printable.h"
#include "base/time.h"
#include "partner/partner_fields.h"

namespace postback::partner {
namespace {

using base::Result;
using base::Status;
using simdjson::dom::element;
using simdjson::dom::element_type;

constexpr size_t kMappingEntriesMax = 64;  // As many parameters as a postback may have.
constexpr size_t kMappingNameSizeMax = 100;

Status parse_object(std::string_view json, simdjson::dom::parser* parser,
                    simdjson::dom::object* object) {
  if (json.size() > kPartnerJsonBytesMax) {
    return Status::error("longer than 64 KiB; give one JSON object of a partner");
  }
  element root;
  const simdjson::padded_string padded(json);
  simdjson::error_code code = parser->parse(padded).get(root);
  if (code != simdjson::SUCCESS) {
    return Status::error(std::string("not JSON (") + simdjson::error_message(code) +
                         "); give a JSON object like {\"name\": \"value\"}");
  }
  code = root.get_object().get(*object);
  if (code != simdjson::SUCCESS) {
    return Status::error("not a JSON object; give one like {\"name\": \"value\"}");
  }
  return Status();
}

Status check_mapping_name(std::string_view name) {
  const bool control = std::any_of(name.begin(), name.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
  });
  if (!name.empty() && name.size() <= kMappingNameSizeMax && !control) return Status();
  return Status::error("'" + base::printable(name, 60) +
                       "' is not a parameter name; give 1 to 100 bytes without control characters");
}

Result<std::vector<MappingEntry>> mapping_from_object(const simdjson::dom::object& object) {
  std::vector<MappingEntry> mapping;
  std::set<std::string_view> names;
  for (const simdjson::dom::key_value_pair& pair : object) {
    std::string_view value;
    if (pair.value.get_string().get(value) != simdjson::SUCCESS) {
      return Status::error("the value of '" + base::printable(pair.key, 60) +
                           "' is not a text; give the partner's name of the parameter");
    }
    for (const std::string_view name : {pair.key, value}) {
      const Status status = check_mapping_name(name);
      if (!status.ok()) return status;
    }
    if (!names.insert(pair.key).second) {
      return Status::error("'" + base::printable(pair.key, 60) + "' stands twice; keep one");
    }
    if (mapping.size() == kMappingEntriesMax) {
      return Status::error("more than 64 names; a postback has at most 64 parameters");
    }
    mapping.push_back({std::string(pair.key), std::string(value)});
  }
  return mapping;
}

Status assign_element(const PartnerField& field, const element& value, Partner* partner) {
  const std::string name = field.name;
  switch (value.type()) {
    case element_type::STRING:
      return assign_field(field, std::string(std::string_view(value)), partner);
    case element_type::BOOL:
      return assign_field(field, bool(value), partner);
    case element_type::INT64:
      return assign_field(field, int64_t(value), partner);
    case element_type::OBJECT: {
      Result<std::vector<MappingEntry>> mapping = mapping_from_object(value.get_object());
      if (!mapping.ok()) return Status::error(name + ": " + mapping.status().message());
      return assign_field(field, mapping.take(), partner);
    }
    case element_type::ARRAY:
      return Status::error(name + ": a list; give one value");
    case element_type::UINT64:
    case element_type::DOUBLE:
      return Status::error(name + ": not a whole number of usual size; give one");
    case element_type::NULL_VALUE:
      return Status();  // The default, as if it were absent.
  }
  return Status();
}

Status assign_member(const simdjson::dom::key_value_pair& member, Partner* partner) {
  const PartnerField* field = find_field(member.key);
  if (field == nullptr) return unknown_field(member.key);
  if (field->by_database) return Status();
  return assign_element(*field, member.value, partner);
}

void append_value(std::string* out, const PartnerField& field, const FieldValue& value,
                  bool secrets) {
  switch (field.kind) {
    case FieldKind::text: {
      const auto& text = std::get<std::string>(value);
      const bool mask = !secrets && std::string_view(field.name) == "database_url";
      base::append_json_string(out, mask ? base::masked_url(text) : text);
      return;
    }
    case FieldKind::boolean:
      out->append(std::get<bool>(value) ? "true" : "false");
      return;
    case FieldKind::integer:
      base::append_integer(out, std::get<int64_t>(value));
      return;
    case FieldKind::mapping:
      append_mapping_json(out, std::get<std::vector<MappingEntry>>(value));
      return;
    case FieldKind::time:
      out->push_back('"');
      base::append_iso8601(out, std::get<int64_t>(value));
      out->push_back('"');
      return;
  }
}

}  // namespace

Result<Partner> partner_from_json(std::string_view json) {
  simdjson::dom::parser parser;
  simdjson::dom::object object;
  Status status = parse_object(json, &parser, &object);
  if (!status.ok()) return status;
  Partner partner;
  std::set<std::string_view> names;
  for (const simdjson::dom::key_value_pair& member : object) {
    if (!names.insert(member.key).second) {
      return Status::error(base::printable(member.key, 60) + ": stands twice; keep one");
    }
    status = assign_member(member, &partner);
    if (!status.ok()) return status;
  }
  status = check_partner(partner);
  if (!status.ok()) return status;
  return partner;
}

Result<std::vector<MappingEntry>> mapping_from_json(std::string_view json) {
  simdjson::dom::parser parser;
  simdjson::dom::object object;
  const Status status = parse_object(json, &parser, &object);
  if (!status.ok()) return status;
  return mapping_from_object(object);
}

void append_mapping_json(std::string* out, const std::vector<MappingEntry>& mapping) {
  out->push_back('{');
  for (size_t i = 0; i < mapping.size(); ++i) {
    if (i > 0) out->push_back(',');
    base::append_json_string(out, mapping[i].name);
    out->push_back(':');
    base::append_json_string(out, mapping[i].partner_name);
  }
  out->push_back('}');
}

void append_partner_json(std::string* out, const Partner& partner, bool secrets) {
  out->push_back('{');
  for (const PartnerField& field : partner_fields()) {
    if (out->back() != '{') out->push_back(',');
    base::append_json_name(out, field.name);
    append_value(out, field, field.get(partner), secrets);
  }
  out->push_back('}');
}

}  // namespace postback::partner
