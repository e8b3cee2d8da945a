// Whether a folder lies on storage that survives the machine. A journal is kept only there: what it
// acknowledged on a file system in memory would be gone with the next restart.
//
// Judged by the type of the file system (statfs(2)) and by the environment. A disk that is memory
// underneath (a RAM disk, a loop device over a file on tmpfs) cannot be told from a real one.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace postback::journal {

struct Place {
  bool durable = false;
  // One clause for the log and /info, of a durable place too:
  // "DATA_DIR data lies on tmpfs, which is lost with the machine".
  std::string why;
};

// `data_dir` is made if missing, with those above it. One that cannot be made or looked at is not
// durable, and `why` says so. `environment`: "NAME=value" entries. Blocks; any thread.
Place judge_place(const std::string& data_dir, const std::vector<std::string>& environment);

// The rule alone. `file_system`: f_type of statfs(2), one of linux/magic.h. Pure.
Place judge_file_system(const std::string& data_dir, uint32_t file_system,
                        const std::vector<std::string>& environment);

}  // namespace postback::journal
