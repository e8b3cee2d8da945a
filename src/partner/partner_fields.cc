#include "partner/partner_fields.h"

#include <charconv>
#include <utility>

#include "base/nearest.h"
#include "base/printable.h"
#include "base/utf8.h"
#include "partner/partner_json.h"

namespace postback::partner {
namespace {

using base::Status;

template <std::string Partner::*member>
FieldValue get_text(const Partner& partner) {
  return partner.*member;
}
template <std::string Partner::*member>
void set_text(Partner* partner, FieldValue value) {
  partner->*member = std::get<std::string>(std::move(value));
}
template <bool Partner::*member>
FieldValue get_boolean(const Partner& partner) {
  return partner.*member;
}
template <bool Partner::*member>
void set_boolean(Partner* partner, FieldValue value) {
  partner->*member = std::get<bool>(value);
}
template <typename T, T Partner::*member>
FieldValue get_integer(const Partner& partner) {
  return static_cast<int64_t>(partner.*member);
}
template <typename T, T Partner::*member>
void set_integer(Partner* partner, FieldValue value) {
  partner->*member = static_cast<T>(std::get<int64_t>(value));
}

FieldValue get_on_invalid(const Partner& partner) {
  return std::string(partner.on_invalid == OnInvalid::accept ? "accept" : "refuse");
}
void set_on_invalid(Partner* partner, FieldValue value) {
  partner->on_invalid =
      std::get<std::string>(value) == "accept" ? OnInvalid::accept : OnInvalid::refuse;
}

template <std::string Partner::*member>
constexpr PartnerField text_field(const char* name, int64_t low, int64_t high) {
  return {name, FieldKind::text, low, high, get_text<member>, set_text<member>};
}
template <bool Partner::*member>
constexpr PartnerField boolean_field(const char* name) {
  return {name, FieldKind::boolean, 0, 1, get_boolean<member>, set_boolean<member>};
}
template <int32_t Partner::*member>
constexpr PartnerField int32_field(const char* name, int64_t low, int64_t high) {
  return {name, FieldKind::integer,           low,
          high, get_integer<int32_t, member>, set_integer<int32_t, member>};
}
template <int64_t Partner::*member>
constexpr PartnerField time_field(const char* name) {
  return {name,
          FieldKind::time,
          INT64_MIN,
          INT64_MAX,
          get_integer<int64_t, member>,
          set_integer<int64_t, member>,
          true};
}

constexpr PartnerField kFields[] = {
    {"id", FieldKind::integer, 1, INT32_MAX, get_integer<int32_t, &Partner::id>,
     set_integer<int32_t, &Partner::id>, true},
    text_field<&Partner::partner_code>("partner_code", 1, 50),
    text_field<&Partner::partner_name>("partner_name", 1, 100),
    text_field<&Partner::endpoint_path>("endpoint_path", 1, 100),
    text_field<&Partner::endpoint_url>("endpoint_url", 0, 500),
    text_field<&Partner::cloud_run_service_name>("cloud_run_service_name", 0, 100),
    text_field<&Partner::cloud_run_region>("cloud_run_region", 0, 50),
    text_field<&Partner::cloud_run_project_id>("cloud_run_project_id", 0, 100),
    text_field<&Partner::database_name>("database_name", 0, 100),
    text_field<&Partner::database_url>("database_url", 0, 500),
    {"parameter_mapping", FieldKind::mapping, 0, 0,
     [](const Partner& partner) { return FieldValue(partner.parameter_mapping); },
     [](Partner* partner, FieldValue value) {
       partner->parameter_mapping = std::get<std::vector<MappingEntry>>(std::move(value));
     }},
    boolean_field<&Partner::is_active>("is_active"),
    boolean_field<&Partner::enable_logging>("enable_logging"),
    // The bound keeps a day's count and any sum with it far from overflow.
    {"max_daily_requests", FieldKind::integer, 0, 1'000'000'000'000,
     get_integer<int64_t, &Partner::max_daily_requests>,
     set_integer<int64_t, &Partner::max_daily_requests>},
    int32_field<&Partner::data_retention_days>("data_retention_days", 1, 36500),
    {"dedupe_retention_days", FieldKind::integer, 1, 36500,
     get_integer<int32_t, &Partner::dedupe_retention_days>,
     set_integer<int32_t, &Partner::dedupe_retention_days>, false, 3},
    text_field<&Partner::timezone>("timezone", 1, 64),
    {"on_invalid", FieldKind::text, 1, 10, get_on_invalid, set_on_invalid},
    int32_field<&Partner::lanes>("lanes", 1, 64),
    {"memory_epoch", FieldKind::integer, 0, INT64_MAX, get_integer<int64_t, &Partner::memory_epoch>,
     set_integer<int64_t, &Partner::memory_epoch>, true, 4},
    time_field<&Partner::created_at_us>("created_at"),
    time_field<&Partner::updated_at_us>("updated_at"),
};

Status wrong(const PartnerField& field, const std::string& what) {
  return Status::error(std::string(field.name) + ": " + what);
}

Status check_text(const PartnerField& field, const std::string& text) {
  if (!base::is_valid_utf8(text)) return wrong(field, "not UTF-8; give text in UTF-8");
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      return wrong(field, "has a control character in it; give text without");
    }
  }
  const auto count = static_cast<int64_t>(base::utf8_character_count(text));
  if (count < field.low) return wrong(field, "is missing; give a text");
  if (count > field.high) {
    return wrong(field,
                 std::to_string(count) + " characters; give at most " + std::to_string(field.high));
  }
  if (field.get == get_on_invalid && text != "refuse" && text != "accept") {
    return wrong(field, "'" + base::printable(text) + "' is not known; give refuse or accept");
  }
  return Status();
}

const char* expected(const PartnerField& field) {
  switch (field.kind) {
    case FieldKind::text:
      return "a text";
    case FieldKind::boolean:
      return "true or false";
    case FieldKind::integer:
      return "a whole number";
    case FieldKind::mapping:
      return "an object of texts";
    case FieldKind::time:
      return "a time";
  }
  return "a value";
}

size_t alternative_of(FieldKind kind) {
  switch (kind) {
    case FieldKind::text:
      return 0;
    case FieldKind::boolean:
      return 1;
    case FieldKind::integer:
    case FieldKind::time:
      return 2;
    case FieldKind::mapping:
      return 3;
  }
  return 0;
}

bool read_boolean(std::string_view text, bool* value) {
  *value = text == "true" || text == "t" || text == "1";
  return *value || text == "false" || text == "f" || text == "0";
}

}  // namespace

std::span<const PartnerField> partner_fields() {
  return kFields;
}

const PartnerField* find_field(std::string_view name) {
  for (const PartnerField& field : kFields) {
    if (name == field.name) return &field;
  }
  return nullptr;
}

Status unknown_field(std::string_view name) {
  std::vector<std::string> names;
  std::string list;
  for (const PartnerField& field : kFields) {
    if (field.by_database) continue;
    names.emplace_back(field.name);
    list += (list.empty() ? "" : ", ") + names.back();
  }
  const std::string near = base::did_you_mean(name, names);
  return Status::error("unknown field '" + base::printable(name, 60) + "'" +
                       (near.empty() ? ";" : near) + " the fields are " + list);
}

Status assign_field(const PartnerField& field, FieldValue value, Partner* partner) {
  if (value.index() != alternative_of(field.kind)) {
    return wrong(field, std::string("is of the wrong type; give ") + expected(field));
  }
  if (field.kind == FieldKind::text) {
    const Status status = check_text(field, std::get<std::string>(value));
    if (!status.ok()) return status;
  }
  if (field.kind == FieldKind::integer) {
    const int64_t number = std::get<int64_t>(value);
    if (number < field.low || number > field.high) {
      return wrong(field, std::to_string(number) + " is out of range; give a number from " +
                              std::to_string(field.low) + " to " + std::to_string(field.high));
    }
  }
  field.set(partner, std::move(value));
  return Status();
}

Status assign_field_text(const PartnerField& field, const std::optional<std::string>& text,
                         Partner* partner) {
  if (!text.has_value()) return Status();
  const auto not_expected = [&] {
    return wrong(field,
                 "'" + base::printable(*text, 60) + "' is not right; give " + expected(field));
  };
  switch (field.kind) {
    case FieldKind::text:
      return assign_field(field, *text, partner);
    case FieldKind::boolean: {
      bool value = false;
      if (!read_boolean(*text, &value)) return not_expected();
      return assign_field(field, value, partner);
    }
    case FieldKind::integer:
    case FieldKind::time: {
      int64_t value = 0;
      const char* end = text->data() + text->size();
      const auto result = std::from_chars(text->data(), end, value);
      if (result.ec != std::errc() || result.ptr != end) return not_expected();
      return assign_field(field, value, partner);
    }
    case FieldKind::mapping: {
      base::Result<std::vector<MappingEntry>> mapping = mapping_from_json(*text);
      if (!mapping.ok()) return wrong(field, mapping.status().message());
      return assign_field(field, mapping.take(), partner);
    }
  }
  return Status();
}

}  // namespace postback::partner
