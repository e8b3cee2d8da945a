// All that a conversion says, as comparable text: a field that is absent differs from an empty one.
#pragma once

#include <string>

#include "postback/conversion.h"

namespace postback::conversion {

inline std::string described(const Conversion& conversion) {
  std::string text = "partner " + std::to_string(conversion.partner_id) + " reason " +
                     std::to_string(static_cast<int>(conversion.reason)) + " received " +
                     std::to_string(conversion.received_at_us);
  if (conversion.conversion_datetime_us) {
    text += " date " + std::to_string(*conversion.conversion_datetime_us);
  }
  if (conversion.usd_sale_amount) text += " sale " + conversion.usd_sale_amount->to_string();
  if (conversion.usd_earning) text += " earning " + conversion.usd_earning->to_string();
  for (size_t i = 0; i < static_cast<size_t>(Field::kCount); ++i) {
    const auto field = static_cast<Field>(i);
    if (!conversion.has(field)) continue;
    text += "\n" + std::to_string(i) + "=[" + std::string(conversion.text(field)) + "]";
  }
  return text;
}

}  // namespace postback::conversion
