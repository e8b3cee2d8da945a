#include "journal/stuck_file.h"

#include <unistd.h>

#include <cerrno>
#include <fstream>

#include "base/file_sync.h"
#include "base/printable.h"

namespace postback::journal {

base::Status write_stuck_file(const std::string& folder, std::string_view lines) {
  const std::string path = stuck_file_path(folder);
  if (!lines.empty()) return base::replace_private_file(path, lines);
  if (unlink(path.c_str()) == 0 || errno == ENOENT) return {};
  return base::Status::error("cannot remove " + path);
}

std::vector<std::string> read_stuck_file(const std::string& folder) {
  std::ifstream file(stuck_file_path(folder));
  std::vector<std::string> lines;
  constexpr size_t kLineBytesMax = 4096;
  for (std::string line; std::getline(file, line);) {
    lines.push_back(base::printable(line, kLineBytesMax));
  }
  return lines;
}

}  // namespace postback::journal
