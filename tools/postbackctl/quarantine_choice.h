// Which quarantine rows a command is about.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "command.h"
#include "postback/partner.h"

namespace postback::postbackctl {

// Whether there is such a reason; the error names the nearest or all.
base::Status check_reason(const std::string& reason);

// A row's id as the operator gave it.
base::Result<int64_t> quarantine_id(const std::string& word);

// The partners to look at: one or all. Rows that are wrong are named on standard error; *complete
// is then false.
base::Result<std::vector<Partner>> chosen_partners(const Invocation& invocation, bool* complete);

}  // namespace postback::postbackctl
