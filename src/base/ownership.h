// Says when a file or folder cannot be used because of whose it is. The usual story: root ran
// `postbackctl init` before the first start, and the server runs as a user of its own.
#pragma once

#include <string>
#include <vector>

namespace postback::base {

// "; data belongs to root, and this process runs as postbackd: …" with the command that mends it;
// empty when the owner of `path`, of a SQLite file's companions or of the folders above is not the
// trouble. To be appended to an error about `path`, which need not exist.
std::string ownership_trouble(const std::string& path);

// What in the folder (and in its folders, one level down) belongs to another user and cannot be
// read and written by this process: the paths, sorted, at most `count_max` of them.
std::vector<std::string> unusable_entries(const std::string& folder, size_t count_max);

}  // namespace postback::base
