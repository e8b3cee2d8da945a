// The schema of the control database: table `partners`, and postback_control_schema with the
// version. Defaults are in SQL too, so that a row inserted by hand works.
#pragma once

#include "base/status.h"
#include "partner/sql_client.h"

namespace postback::partner {

constexpr int kControlSchemaVersion = 1;

// Brings the control database to kControlSchemaVersion. Only reads when it is there already.
// Several processes may do this at once. Fails on a newer version.
base::Status create_control_schema(SqlClient* client);
// Whether it is there, in the version this program knows. Only reads.
base::Status check_control_schema(SqlClient* client);

}  // namespace postback::partner
