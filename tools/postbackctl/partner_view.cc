#include "partner_view.h"

#include <string_view>

#include "base/log.h"
#include "base/time.h"
#include "partner/partner_json.h"

namespace postback::postbackctl {

std::string field_text(const partner::PartnerField& field, const Partner& partner, bool secrets) {
  using partner::FieldKind;
  const partner::FieldValue value = field.get(partner);
  switch (field.kind) {
    case FieldKind::text: {
      const auto& text = std::get<std::string>(value);
      const bool mask = !secrets && std::string_view(field.name) == "database_url";
      return mask ? base::masked_url(text) : text;
    }
    case FieldKind::boolean:
      return std::get<bool>(value) ? "true" : "false";
    case FieldKind::integer:
      return std::to_string(std::get<int64_t>(value));
    case FieldKind::mapping: {
      std::string json;
      partner::append_mapping_json(&json, std::get<std::vector<MappingEntry>>(value));
      return json;
    }
    case FieldKind::time: {
      std::string time;
      base::append_iso8601(&time, std::get<int64_t>(value));
      return time;
    }
  }
  return "";
}

}  // namespace postback::postbackctl
