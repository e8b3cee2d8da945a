// Why a postback went to quarantine. The names are stable: they are stored in the databases,
// answered to partners and used as metric labels.
#pragma once

#include <cstdint>
#include <string_view>

namespace postback {

enum class Reason : uint8_t {
  none,
  unsupported_media_type,  // Multipart, XML, charset other than UTF-8. Answered 415.
  invalid_json,            // Syntax, trailing data, depth, UTF-8, lone surrogate. Answered 400.
  json_not_object,         // 422, and so are all below.
  duplicate_key,           // The same key parameter twice with different values.
  too_many_parameters,
  parameter_too_long,
  conversion_id_missing,  // Absent or empty.
  conversion_id_invalid,  // Over 255 bytes, control bytes, NUL, not UTF-8.
  conversion_id_macro,    // An unexpanded macro, `null`, `undefined`, its own name.
  amount_invalid,
  database_refused,  // Passed our checks, but the database refused the value.
};

constexpr std::string_view reason_name(Reason reason) {
  switch (reason) {
    case Reason::none:
      return "none";
    case Reason::unsupported_media_type:
      return "unsupported_media_type";
    case Reason::invalid_json:
      return "invalid_json";
    case Reason::json_not_object:
      return "json_not_object";
    case Reason::duplicate_key:
      return "duplicate_key";
    case Reason::too_many_parameters:
      return "too_many_parameters";
    case Reason::parameter_too_long:
      return "parameter_too_long";
    case Reason::conversion_id_missing:
      return "conversion_id_missing";
    case Reason::conversion_id_invalid:
      return "conversion_id_invalid";
    case Reason::conversion_id_macro:
      return "conversion_id_macro";
    case Reason::amount_invalid:
      return "amount_invalid";
    case Reason::database_refused:
      return "database_refused";
  }
  return "none";
}

// The status of a refusal (a partner with on_invalid=refuse).
constexpr int reason_http_status(Reason reason) {
  switch (reason) {
    case Reason::unsupported_media_type:
      return 415;
    case Reason::invalid_json:
      return 400;
    default:
      return 422;
  }
}

}  // namespace postback
