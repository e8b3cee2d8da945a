// A small file that is replaced as a whole: NAME.new written, synced, renamed, its folder synced. A
// crash leaves the old one or the new one. Blocking.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "journal/disk.h"

namespace postback::journal {

base::Status replace_file(Disk* disk, const std::string& folder, const std::string& name,
                          std::string_view bytes);

}  // namespace postback::journal
