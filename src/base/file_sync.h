// Folders that survive a power cut.
#pragma once

#include <filesystem>

#include "base/status.h"

namespace postback::base {

// Makes `folder` and those above it as far as they are missing, and syncs the folder that holds
// each new one: a database is no safer than its folder's name. Whoever makes a folder that may hold
// one does it here: the next one only sees that it is there. Blocks.
Status make_folders(const std::filesystem::path& folder);

}  // namespace postback::base
