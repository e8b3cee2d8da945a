// SQLite's default file system with a memory of what was synced: the disk as it is when the power
// goes at the worst moment, with nothing of what was not synced. For the whole program, from
// install() on; one thread of SQLite at a time, as a store has.
#pragma once

#include <cstdint>
#include <string>

namespace postback::test::power_cut_vfs {

// Becomes the default of every connection that is opened from now on.
void install();
// How often a file of the path was synced.
uint64_t sync_count(const std::string& path);
// Writes what was synced of the database at `path`, and of its -wal file, to another path.
void write_survivors(const std::string& path, const std::string& to);

}  // namespace postback::test::power_cut_vfs
