// A folder of time zone files of the test's own, in the place of the system's.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "base/check.h"

namespace postback::conversion {

inline constexpr const char* kSystemZones = "/usr/share/zoneinfo";

inline std::string zone_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// While it lives, TZDIR names it. One at a time, and no other thread that looks up zones.
class ZoneFolder {
 public:
  ZoneFolder() {
    char name[] = "/tmp/postback-zones-XXXXXX";
    CHECK(mkdtemp(name) != nullptr);
    path_ = name;
    CHECK(setenv("TZDIR", name, 1) == 0);
  }
  ~ZoneFolder() {
    CHECK(unsetenv("TZDIR") == 0);
    std::filesystem::remove_all(path_);
  }
  ZoneFolder(const ZoneFolder&) = delete;
  ZoneFolder& operator=(const ZoneFolder&) = delete;

  const std::string& path() const { return path_; }
  void write(const std::string& name, const std::string& bytes) {
    const std::filesystem::path file = path_ + "/" + name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << bytes;
  }
  // Every zone, as `zic` compiles the system's rules; false where they or `zic` are missing.
  bool compile_slim() {
    const std::string command =
        "/usr/sbin/zic -b slim -d '" + path_ + "' " + kSystemZones + "/tzdata.zi 2>/dev/null";
    return std::system(command.c_str()) == 0;
  }

 private:
  std::string path_;
};

}  // namespace postback::conversion
