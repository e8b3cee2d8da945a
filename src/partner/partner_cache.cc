#include "partner/partner_cache.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

#include "base/file_sync.h"
#include "base/ownership.h"
#include "partner/cache_text.h"

namespace postback::partner {
namespace {

using base::Result;
using base::Status;

// How often an unchanged table is confirmed, or a write that failed is tried again.
constexpr uint64_t kAgainNs = 60'000'000'000;
// Some 15 KiB is the most a partner may take; usual ones take one.
constexpr size_t kCacheBytesMax = 64 * 1024 * 1024;

Status failed(const char* what, const std::string& path) {
  const int error = errno;
  return Status::error(std::string("cannot ") + what + " " + path + ": " + std::strerror(error) +
                       (error == EACCES ? base::ownership_trouble(path) : ""));
}

Result<std::string> read_file(const std::string& path) {
  const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "re"), &std::fclose);
  if (file == nullptr) return failed("open", path);
  std::string text;
  char part[64 * 1024];
  while (const size_t size = std::fread(part, 1, sizeof part, file.get())) {
    text.append(part, size);
    if (text.size() > kCacheBytesMax) return Status::error(path + " is over 64 MiB");
  }
  if (std::ferror(file.get()) != 0) return failed("read", path);
  return text;
}

}  // namespace

PartnerCache::PartnerCache(DatabaseHome home, std::string control, const base::Clock* clock)
    : home_(std::move(home)),
      control_(std::move(control)),
      path_((std::filesystem::path(home_.data_dir) / "partners.cache").string()),
      clock_(clock) {}

Status PartnerCache::keep(const std::shared_ptr<const PartnerTable>& table) {
  const uint64_t now = clock_->monotonic_ns();
  if (table == seen_ && now < next_ns_) return Status();
  seen_ = table;
  next_ns_ = now + kAgainNs;
  // A file that cannot be confirmed is not there any more: it is written again.
  if (table == kept_ && confirm().ok()) return Status();
  const Status status = write(*table);
  kept_ = status.ok() ? table : nullptr;
  return status;
}

Status PartnerCache::write(const PartnerTable& table) {
  const std::string text = partners_to_text(control_, table);
  if (text.size() > kCacheBytesMax) {
    return Status::error("the partners take more than 64 MiB, too much for " + path_);
  }
  Result<std::string> there = read_file(path_);
  if (there.ok() && there.value() == text) return confirm();
  const Status status = base::make_folders(std::filesystem::path(path_).parent_path());
  return status.ok() ? base::replace_private_file(path_, text) : status;
}

Status PartnerCache::confirm() {
  const int64_t now_us = clock_->wall_us();
  timespec now{};
  now.tv_sec = now_us / 1'000'000;
  now.tv_nsec = now_us % 1'000'000 * 1000;
  const timespec times[2] = {now, now};
  return utimensat(AT_FDCWD, path_.c_str(), times, 0) == 0 ? Status() : failed("touch", path_);
}

Result<CachedPartners> PartnerCache::load() const {
  Result<std::string> text = read_file(path_);
  if (!text.ok()) return text.status();
  Result<Partners> rows = partners_from_text(text.value(), control_, home_);
  if (!rows.ok()) return Status::error(path_ + " cannot be used: " + rows.status().message());
  if (rows.value().partners.empty()) return Status::error(path_ + " holds no partner");
  struct stat status {};
  if (::stat(path_.c_str(), &status) != 0) return failed("look at", path_);
  CachedPartners cached;
  cached.rows = rows.take();
  cached.confirmed_us = int64_t{status.st_mtim.tv_sec} * 1'000'000 + status.st_mtim.tv_nsec / 1000;
  return cached;
}

}  // namespace postback::partner
