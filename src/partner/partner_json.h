// A partner as JSON: what `postbackctl partner add` reads and `show --json` prints. Pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "postback/partner.h"

namespace postback::partner {

// The largest file of a partner that is read.
constexpr size_t kPartnerJsonBytesMax = 64 * 1024;

// A complete, checked partner; what is absent or null has its default. Errors are one line that
// names the field. The fields the database gives (id, created_at, updated_at) are ignored.
base::Result<Partner> partner_from_json(std::string_view json);

// A parameter mapping: an object of texts, in its order. At most 64 entries; names of 1 to 100
// bytes without control characters. A left name (in our URL) may stand once. Two left names may
// have the same right name: networks send one value which an operator wants in two columns.
base::Result<std::vector<MappingEntry>> mapping_from_json(std::string_view json);

void append_mapping_json(std::string* out, const std::vector<MappingEntry>& mapping);
// One object with every field of table `partners`. Without `secrets` the password in database_url
// is masked.
void append_partner_json(std::string* out, const Partner& partner, bool secrets);

}  // namespace postback::partner
