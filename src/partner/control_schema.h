// The schema of the control database: table `partners`, table `partner_ids` (see partner_ids.h),
// table `postback_registry` (see control_identity.h), and postback_control_schema with the version.
// Defaults are in SQL too, so that a row inserted by hand works.
#pragma once

#include "base/status.h"
#include "partner/sql_client.h"

namespace postback::partner {

constexpr int kControlSchemaVersion = 4;

// Brings the control database to kControlSchemaVersion. Only reads when it is there already.
// Several processes may do this at once. Fails on a newer version.
base::Status create_control_schema(SqlClient* client);
// The version found, which may be any; 0 when there is no schema yet. Only reads.
base::Result<int> control_schema_version(SqlClient* client);
// Whether it is there, in a version this program knows, which may be an older one. Only reads.
base::Status check_control_schema(SqlClient* client);

}  // namespace postback::partner
