// Folders and small files that survive a power cut.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/status.h"

namespace postback::base {

// Makes `folder` and those above it as far as they are missing, and syncs the folder that holds
// each new one: a database is no safer than its folder's name. Whoever makes a folder that may hold
// one does it here: the next one only sees that it is there. Blocks.
Status make_folders(const std::filesystem::path& folder);

// Puts `bytes` in the place of the file `path`, which is made if missing: whoever opens it meets
// what was there before or all of `bytes`, also after a power cut. For its owner only (mode 0600).
// Uses `path`.new meanwhile; two at once may both fail or leave either's bytes. Blocks.
Status replace_private_file(const std::string& path, std::string_view bytes);

}  // namespace postback::base
