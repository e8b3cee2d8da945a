// The text of the partner cache (see partner_cache.h). Pure functions.
//
//   postback partners 1
//   control postgresql://postback:***@db:5432/postback_control
//   id<TAB>partner_code<TAB>…          names of the columns
//   1<TAB>involve_asia<TAB>…           a partner per line, fields as SQL gives them
//   crc32c 0123abcd                    of all lines above, in hexadecimal
//
// Behind the columns of table `partners` stand registry_id, owns_unmarked and former_codes (with
// commas between them): what a partner has from its control database, see postback/partner.h.
//
// No field has a control character in it, so nothing is escaped. A reader goes by the names of the
// columns: one it does not know is passed over, one that is missing has its default, as in the
// table of another version of this program.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "partner/effective_url.h"
#include "partner/partner_rows.h"
#include "partner/partner_table.h"

namespace postback::partner {

// `control` names the control database, without secrets; one line.
std::string partners_to_text(const std::string& control, const PartnerTable& table);

// The partners, when every byte is as it was written and they are those of `control`. Their
// databases are found anew, from `home`. `bad`: partners that this program or this machine does not
// understand. Text of any origin is safe: ids, codes and paths are unique in what comes out.
base::Result<Partners> partners_from_text(std::string_view text, const std::string& control,
                                          const DatabaseHome& home);

}  // namespace postback::partner
