#include "conversion/time_zone.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>

#include "base/printable.h"
#include "conversion/ascii.h"

namespace postback::conversion {
namespace {

using base::Result;
using base::Status;

constexpr int64_t kSecondUs = 1'000'000;
constexpr int64_t kMinuteUs = 60 * kSecondUs;
constexpr const char* kZoneFolder = "/usr/share/zoneinfo";
// The largest of 2025 has 3,552 bytes.
constexpr size_t kZoneFileBytesMax = 64 * 1024;
constexpr size_t kNameSizeMax = 100;

// Whether it is a name as the IANA gives them, and so a path that stays in the folder. Not so
// "localtime", which means another zone on each machine.
bool is_zone_name(std::string_view name) {
  if (name.empty() || name.size() > kNameSizeMax || name == "localtime") return false;
  bool segment_begins = true;
  for (const char c : name) {
    const bool letter = is_letter(c);
    if (segment_begins && !letter) return false;
    if (!letter && !is_digit(c) && c != '/' && c != '_' && c != '+' && c != '-') return false;
    segment_begins = c == '/';
  }
  return !segment_begins;
}

Status unknown(std::string_view name, const std::string& why) {
  return Status::error("The timezone \"" + base::printable(name) + "\" is not known (" + why +
                       "). Use an IANA name such as Asia/Kuala_Lumpur (package tzdata must be "
                       "installed), a fixed offset such as +08:00, or UTC.");
}

// 0, or the errno of what failed; EISDIR when it is no file.
int read_file(const std::string& path, std::string* bytes) {
  // What blocks when it is opened is no zone file, and must not hold up the partners.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return errno;
  struct stat status {};
  int error = fstat(fd, &status) != 0 ? errno : 0;
  if (error == 0 && !S_ISREG(status.st_mode)) error = EISDIR;
  bytes->resize(kZoneFileBytesMax + 1);
  size_t size = 0;
  while (error == 0 && size < bytes->size()) {
    const ssize_t count = ::read(fd, bytes->data() + size, bytes->size() - size);
    if (count == 0) break;
    if (count > 0) {
      size += static_cast<size_t>(count);
    } else if (errno != EINTR) {
      error = errno;
    }
  }
  ::close(fd);
  bytes->resize(size);
  return error;
}

Result<ZoneTable> read_zone(std::string_view name) {
  const char* folder = std::getenv("TZDIR");
  if (folder == nullptr || *folder == '\0') folder = kZoneFolder;
  const std::string path = std::string(folder) + "/" + std::string(name);
  const auto unusable = [&](const std::string& what, const std::string& remedy) {
    return Status::error("The time zone file " + base::printable(path) + " " + what + "; " +
                         remedy);
  };
  std::string bytes;
  const int error = read_file(path, &bytes);
  if (error == ENOENT || error == ENOTDIR || error == EISDIR) {
    return unknown(name, "there is no file " + base::printable(path));
  }
  if (error != 0) {
    return unusable(std::string("cannot be read: ") + std::strerror(error),
                    error == EMFILE || error == ENFILE ? "raise the limit of open files (ulimit -n)"
                                                       : "let the user of this program read it");
  }
  if (bytes.size() > kZoneFileBytesMax) {
    return unusable("is damaged: it is far too large", "install the package tzdata again");
  }
  Result<ZoneTable> table = ZoneTable::parse(bytes);
  if (!table.ok()) {
    return unusable("is damaged: it " + table.status().message(),
                    "install the package tzdata again");
  }
  return table;
}

}  // namespace

Result<TimeZone> TimeZone::find(std::string_view name) {
  TimeZone zone;
  // Not looked up, so that a system without zone files serves the partners that need none.
  if (name == "UTC" || name == "Z" || name == "GMT" || name == "Etc/UTC") return zone;
  if (parse_utc_offset(name, &zone.offset_us_)) return zone;
  if (!is_zone_name(name)) return unknown(name, "it is not the name of a zone");
  Result<ZoneTable> table = read_zone(name);
  if (!table.ok()) return table.status();
  zone.table_ = std::make_shared<const ZoneTable>(table.take());
  return zone;
}

int64_t TimeZone::utc_us(int64_t local_us) const {
  if (table_ == nullptr) return local_us - offset_us_;
  const int64_t local_s = local_us / kSecondUs - (local_us % kSecondUs < 0 ? 1 : 0);
  return local_us - table_->offset_s(local_s) * kSecondUs;
}

bool parse_utc_offset(std::string_view text, int64_t* offset_us) {
  if (text.size() < 3 || (text[0] != '+' && text[0] != '-')) return false;
  const bool negative = text[0] == '-';
  char digits[4] = {'0', '0', '0', '0'};
  size_t count = 0;
  for (size_t i = 1; i < text.size(); ++i) {
    if (text[i] == ':' && i == 3 && text.size() == 6) continue;
    if (!is_digit(text[i]) || count == sizeof digits) return false;
    digits[count++] = text[i];
  }
  if (count != 2 && count != 4) return false;
  const int hours = (digits[0] - '0') * 10 + (digits[1] - '0');
  const int minutes = (digits[2] - '0') * 10 + (digits[3] - '0');
  if (minutes > 59 || hours * 60 + minutes > 14 * 60) return false;
  *offset_us = (negative ? -1 : 1) * (hours * 60 + minutes) * kMinuteUs;
  return true;
}

}  // namespace postback::conversion
