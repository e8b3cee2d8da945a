// The control database as the commands use it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/settings.h"
#include "base/status.h"
#include "partner/partner_rows.h"
#include "partner/sql_client.h"

namespace postback::postbackctl {

// A command may wait longer than the server's registry.
constexpr partner::SqlLimits kToolLimits{.connect_ms = 5000, .statement_ms = 10000};

// Opens the control database, whose table of partners must exist (`init` makes it).
base::Result<std::unique_ptr<partner::SqlClient>> open_control(const base::Settings& settings,
                                                               partner::SqlMode mode);

// The row of a partner, or an error that names the nearest codes.
base::Result<partner::SqlRow> find_row(const std::vector<partner::SqlRow>& rows,
                                       const std::string& code);

// Whether the partner's code and path are free, its own row left aside.
base::Status check_free(const std::vector<partner::SqlRow>& rows, const Partner& partner);

}  // namespace postback::postbackctl
