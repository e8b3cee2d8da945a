// Which control database this is. Partner ids mean something within one control database only: one
// that is made anew gives them to other partners. So it has an id of its own, made with it or by
// the program that brought it to schema version 4, and whoever keeps a partner id elsewhere (the
// journal, the partners' databases) keeps this id and the partner's code beside it.
//
// A copy of a control database has the same id, and so has one restored from a backup.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/status.h"
#include "partner/sql_client.h"

namespace postback::partner {

struct ControlIdentity {
  std::string registry_id;  // A UUID; empty: made by an older program and not brought up to date.
  // It has been there since before control databases had ids.
  bool is_older = true;
  // Every code that a partner has or had, by its id, as far as the code is no other partner's now.
  std::map<int64_t, std::vector<std::string>> codes;
};

// For create_control_schema(), in its transaction: `from_version` 0 when the schema is made now.
base::Status insert_identity(SqlClient* client, int from_version);
// `version`: of its schema.
base::Result<ControlIdentity> read_identity(SqlClient* client, int version);

}  // namespace postback::partner
