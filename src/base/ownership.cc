#include "base/ownership.h"

#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

namespace postback::base {
namespace {

namespace fs = std::filesystem;

std::string user_name(uid_t user) {
  passwd entry{};
  passwd* found = nullptr;
  char text[4096];
  if (getpwuid_r(user, &entry, text, sizeof text, &found) == 0 && found != nullptr) {
    return found->pw_name;
  }
  return "user " + std::to_string(user);
}

// Whether `path` is there, is somebody else's and refuses `access` (a mask as for access(2)).
bool is_refused(const fs::path& path, int access, uid_t* owner) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0 || status.st_uid == geteuid()) return false;
  *owner = status.st_uid;
  return faccessat(AT_FDCWD, path.c_str(), access, AT_EACCESS) != 0;
}

std::string trouble_with(const fs::path& path, uid_t owner) {
  const std::string self = user_name(geteuid());
  return "; " + path.string() + " belongs to " + user_name(owner) + ", and this process runs as " +
         self + ": give it over (chown -R " + self + " " + path.string() +
         "), and run postbackctl as " + self + " too, not as root";
}

bool is_there(const fs::path& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0;
}

int access_needed(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored) ? R_OK | W_OK | X_OK : R_OK | W_OK;
}

bool may_use(const fs::path& path) {
  uid_t owner = 0;
  return !is_refused(path, access_needed(path), &owner);
}

}  // namespace

std::string ownership_trouble(const std::string& path) {
  const fs::path whole = fs::path(path).lexically_normal();
  // The outermost first: chown -R on it mends what is below as well. A folder is passed through, or
  // written where what is below it is missing and would be made.
  std::vector<fs::path> ways{whole};
  for (fs::path each = whole.parent_path(); !each.empty(); each = each.parent_path()) {
    ways.insert(ways.begin(), each);
    if (each == each.parent_path()) break;
  }
  uid_t owner = 0;
  for (size_t i = 0; i + 1 < ways.size(); ++i) {
    const int access = is_there(ways[i + 1]) ? X_OK : W_OK | X_OK;
    if (is_refused(ways[i], access, &owner)) return trouble_with(ways[i], owner);
  }
  // SQLite's write-ahead log, its index and our lock lie beside the database.
  for (const char* suffix : {"", "-wal", "-shm", "-lock"}) {
    const fs::path each = whole.string() + suffix;
    if (is_refused(each, access_needed(each), &owner)) return trouble_with(each, owner);
  }
  if (ways.size() > 1 && is_refused(ways[ways.size() - 2], W_OK | X_OK, &owner)) {
    return trouble_with(ways[ways.size() - 2], owner);
  }
  return {};
}

std::vector<std::string> unusable_entries(const std::string& folder, size_t count_max) {
  std::vector<std::string> found;
  std::error_code error;  // A folder that cannot be listed is found as an entry of its own.
  const fs::path top(folder);
  if (!may_use(top)) found.push_back(folder);
  for (fs::directory_iterator at(top, error), end; !error && at != end; at.increment(error)) {
    if (!may_use(at->path())) found.push_back(at->path().string());
    std::error_code inner;
    if (!at->is_directory(inner)) continue;
    for (fs::directory_iterator below(at->path(), inner); !inner && below != end;
         below.increment(inner)) {
      if (!may_use(below->path())) found.push_back(below->path().string());
    }
  }
  std::sort(found.begin(), found.end());
  if (found.size() > count_max) found.resize(count_max);
  return found;
}

}  // namespace postback::base
