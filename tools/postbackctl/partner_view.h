// A partner's fields as people see them.
#pragma once

#include <string>

#include "partner/partner_fields.h"

namespace postback::postbackctl {

// One field's value as text: "true", "2025-01-15T10:20:30Z", `{"a":"b"}`. Without `secrets` the
// password in database_url is masked.
std::string field_text(const partner::PartnerField& field, const Partner& partner, bool secrets);

}  // namespace postback::postbackctl
