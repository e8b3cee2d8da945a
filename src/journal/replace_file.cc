#include "journal/replace_file.h"

#include <cerrno>

namespace postback::journal {

base::Status replace_file(Disk* disk, const std::string& folder, const std::string& name,
                          std::string_view bytes) {
  const std::string path = folder + "/" + name;
  const std::string new_path = path + ".new";
  std::unique_ptr<File> file;
  int error = disk->open(new_path, OpenMode::create, &file);
  if (error != 0) return disk_error("make", new_path, error);
  const int64_t written = file->pwrite(bytes, 0);
  if (written != static_cast<int64_t>(bytes.size())) {
    return disk_error("write", new_path, written < 0 ? static_cast<int>(written) : -ENOSPC);
  }
  error = file->fdatasync();
  if (error != 0) return disk_error("sync", new_path, error);
  file.reset();
  error = disk->rename(new_path, path);
  if (error != 0) return disk_error("rename", new_path, error);
  error = disk->sync_folder(folder);
  return error != 0 ? disk_error("sync folder", folder, error) : base::Status();
}

}  // namespace postback::journal
