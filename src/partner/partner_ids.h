// Table `partner_ids`: the id that each partner code has, or had before its partner was removed.
// The unique index of a partner's database is over (conversion_id, partner_id), so a code that is
// added again must get its id back: with a new one every old conversion would be stored and paid a
// second time. Blocking; see sql_client.h for threads.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/status.h"
#include "partner/sql_client.h"

namespace postback::partner {

// Notes the ids of all partners there are; a code that is noted already takes its partner's id.
// Every change of `partners` by this program calls it, so rows that somebody inserts, or later
// deletes, with SQL are known too.
base::Status remember_ids(SqlClient* client);
// Whether a partner has, or had, this code.
base::Result<bool> was_known(SqlClient* client, const std::string& code);
// The id that `code` had; nothing when it is new, or when its id is another partner's now (the
// partner was given another code).
base::Result<std::optional<int64_t>> former_id(SqlClient* client, const std::string& code);

}  // namespace postback::partner
