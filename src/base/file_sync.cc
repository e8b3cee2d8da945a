#include "base/file_sync.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace postback::base {
namespace {

Status failed(const char* what, const std::filesystem::path& folder) {
  return Status::error(std::string("cannot ") + what + " folder " + folder.string() + ": " +
                       std::strerror(errno) + "; check the path and its rights");
}

}  // namespace

Status make_folders(const std::filesystem::path& folder) {
  struct stat status {};
  if (folder.empty() || stat(folder.c_str(), &status) == 0) return {};
  const std::filesystem::path parent = folder.parent_path();
  if (parent != folder) {
    Status above = make_folders(parent);
    if (!above.ok()) return above;
  }
  // Somebody else may make it at the same time.
  if (mkdir(folder.c_str(), 0777) != 0 && errno != EEXIST) return failed("make", folder);
  const int fd = open(parent.empty() ? "." : parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return failed("open", parent);
  const bool synced = fsync(fd) == 0;
  Status result = synced ? Status() : failed("sync", parent);
  close(fd);
  return result;
}

}  // namespace postback::base
