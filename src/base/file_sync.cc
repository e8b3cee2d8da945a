#include "base/file_sync.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

#include "base/ownership.h"

namespace postback::base {
namespace {

Status failed(const std::string& what, const std::filesystem::path& path) {
  const int error = errno;
  const std::string trouble =
      error == EACCES || error == EPERM ? ownership_trouble(path.string()) : "";
  return Status::error("cannot " + what + " " + path.string() + ": " + std::strerror(error) +
                       (trouble.empty() ? "; check the path and its rights" : trouble));
}

Status sync_folder(const std::filesystem::path& folder) {
  const std::filesystem::path named = folder.empty() ? "." : folder;
  const int fd = open(named.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return failed("open folder", named);
  Status result = fsync(fd) == 0 ? Status() : failed("sync folder", named);
  close(fd);
  return result;
}

// Writes and syncs a file that nobody else knows yet.
Status write_new_file(const std::string& path, std::string_view bytes) {
  // What a process that was killed here before has left.
  unlink(path.c_str());
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return failed("make", path);
  Status result;
  while (result.ok() && !bytes.empty()) {
    const ssize_t count = write(fd, bytes.data(), bytes.size());
    if (count > 0) {
      bytes.remove_prefix(static_cast<size_t>(count));
    } else if (count == 0 || errno != EINTR) {
      result = failed("write", path);
    }
  }
  if (result.ok() && fdatasync(fd) != 0) result = failed("sync", path);
  close(fd);
  return result;
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
  if (mkdir(folder.c_str(), 0777) != 0 && errno != EEXIST) return failed("make folder", folder);
  return sync_folder(parent);
}

Status replace_private_file(const std::string& path, std::string_view bytes) {
  const std::string fresh = path + ".new";
  Status result = write_new_file(fresh, bytes);
  if (result.ok() && rename(fresh.c_str(), path.c_str()) != 0) result = failed("replace", path);
  if (!result.ok()) {
    unlink(fresh.c_str());
    return result;
  }
  return sync_folder(std::filesystem::path(path).parent_path());
}

}  // namespace postback::base
