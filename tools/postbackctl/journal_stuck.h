// The part of `postbackctl journal stat` that tells which records do not get into their database,
// and why: as the server has seen it last.
#pragma once

#include <string>

namespace postback::postbackctl {

// `folder`: DATA_DIR/journal. Empty while nothing is stuck.
std::string stuck_text(const std::string& folder);
// A JSON array of texts.
std::string stuck_json(const std::string& folder);

}  // namespace postback::postbackctl
