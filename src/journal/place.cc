#include "journal/place.h"

#include <linux/magic.h>
#include <sys/statfs.h>

#include <cerrno>
#include <cstdio>

#include "base/printable.h"
#include "journal/disk.h"

namespace postback::journal {
namespace {

// linux/magic.h does not have it.
constexpr uint32_t kZfsMagic = 0x2FC12FC1;

// What a file system does with a file that fdatasync() was called on.
enum class Keeps : uint8_t {
  nothing,           // It is memory.
  it_perhaps,        // Whoever is behind it may not have been told, or not have obeyed.
  it_on_its_server,  // As well as another machine does.
  it_on_disk,        // Unless what looks like a disk is memory, as on Cloud Run.
};

struct FileSystem {
  uint32_t type;
  const char* name;
  Keeps keeps;
};

constexpr FileSystem kFileSystems[] = {
    {TMPFS_MAGIC, "tmpfs", Keeps::nothing},
    {RAMFS_MAGIC, "ramfs", Keeps::nothing},
    {HUGETLBFS_MAGIC, "hugetlbfs", Keeps::nothing},
    // The file server of gVisor and of virtual machines. fdatasync() may end in its cache.
    {V9FS_MAGIC, "9p", Keeps::it_perhaps},
    // gcsfuse uploads a file when it is closed, and a synced one as a whole object: not for a log.
    {FUSE_SUPER_MAGIC, "FUSE", Keeps::it_perhaps},
    {NFS_SUPER_MAGIC, "NFS", Keeps::it_on_its_server},
    // In a container: the upper layer lies on the host's disk, unless the host keeps it in memory.
    {OVERLAYFS_SUPER_MAGIC, "overlayfs", Keeps::it_on_disk},
    {EXT4_SUPER_MAGIC, "ext4", Keeps::it_on_disk},
    {XFS_SUPER_MAGIC, "XFS", Keeps::it_on_disk},
    {BTRFS_SUPER_MAGIC, "Btrfs", Keeps::it_on_disk},
    {F2FS_SUPER_MAGIC, "F2FS", Keeps::it_on_disk},
    {kZfsMagic, "ZFS", Keeps::it_on_disk},
};

// A type that is not in the table is some disk's: new ones are made for disks, not for memory.
FileSystem file_system_of(uint32_t type) {
  for (const FileSystem& known : kFileSystems) {
    if (known.type == type) return known;
  }
  return {type, nullptr, Keeps::it_on_disk};
}

std::string name_of(const FileSystem& file_system) {
  if (file_system.name != nullptr) return file_system.name;
  char text[40];
  std::snprintf(text, sizeof text, "file system type 0x%x", file_system.type);
  return text;
}

// Cloud Run's container runtime contract: every service has it.
bool is_cloud_run(const std::vector<std::string>& environment) {
  constexpr std::string_view kName = "K_SERVICE=";
  for (const std::string& entry : environment) {
    if (entry.starts_with(kName) && entry.size() > kName.size()) return true;
  }
  return false;
}

std::string folder_name(const std::string& data_dir) {
  return "DATA_DIR " + base::printable(data_dir);
}

}  // namespace

Place judge_file_system(const std::string& data_dir, uint32_t file_system,
                        const std::vector<std::string>& environment) {
  const FileSystem found = file_system_of(file_system);
  const std::string lies = folder_name(data_dir) + " lies on " + name_of(found);
  switch (found.keeps) {
    case Keeps::nothing:
      return {false, lies + ", which is lost with the machine"};
    case Keeps::it_perhaps:
      return {false, lies + ", which does not promise that synced data survive"};
    case Keeps::it_on_its_server:
      return {true, lies + ", which is as durable as its server"};
    case Keeps::it_on_disk:
      // Whatever it calls itself: all but mounted volumes is memory there.
      if (is_cloud_run(environment)) {
        return {false, lies + " of Cloud Run, which is lost with the instance"};
      }
      return {true, lies};
  }
  return {false, lies};
}

Place judge_place(const std::string& data_dir, const std::vector<std::string>& environment) {
  const int made = real_disk().make_folder(data_dir);
  if (made != 0) {
    return {false, disk_error("make folder", folder_name(data_dir), made).message()};
  }
  struct statfs status {};
  if (::statfs(data_dir.c_str(), &status) != 0) {
    return {false, disk_error("look at", folder_name(data_dir), errno).message()};
  }
  // Signed in some C libraries, and then a type above 2^31 is negative.
  return judge_file_system(data_dir, static_cast<uint32_t>(status.f_type), environment);
}

}  // namespace postback::journal
