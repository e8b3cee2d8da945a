#include "io/port_owner.h"

#include <dirent.h>
#include <unistd.h>

#include <cinttypes>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <set>

namespace postback::io {
namespace {

using Directory = std::unique_ptr<DIR, int (*)(DIR*)>;

std::string read_small_file(const std::string& path) {
  const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "re"), &std::fclose);
  if (file == nullptr) return {};
  char text[4096];
  return {text, std::fread(text, 1, sizeof text, file.get())};
}

// The inodes of the sockets that listen on the port, as `table` lists them: one socket per line,
// with local_address as "ADDRESS:PORT" in hexadecimal, st (0A: it listens) and inode.
void add_listeners(const char* table, int port, std::set<uint64_t>* inodes) {
  const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(table, "re"), &std::fclose);
  if (file == nullptr) return;
  char line[512];
  while (std::fgets(line, sizeof line, file.get()) != nullptr) {
    unsigned local_port = 0;
    unsigned state = 0;
    uint64_t inode = 0;
    const int fields = std::sscanf(
        line, " %*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*s %*s %*s %*d %*d %" SCNu64,
        &local_port, &state, &inode);
    constexpr unsigned kListens = 0x0A;
    if (fields == 3 && local_port == static_cast<unsigned>(port) && state == kListens &&
        inode != 0) {
      inodes->insert(inode);
    }
  }
}

bool holds_one_of(const std::string& process, const std::set<uint64_t>& inodes) {
  const std::string folder = process + "/fd";
  const Directory descriptors(opendir(folder.c_str()), &closedir);
  if (descriptors == nullptr) return false;
  while (const dirent* entry = readdir(descriptors.get())) {
    char target[64] = {};
    const std::string path = folder + "/" + entry->d_name;
    if (readlink(path.c_str(), target, sizeof target - 1) <= 0) continue;
    uint64_t inode = 0;
    if (std::sscanf(target, "socket:[%" SCNu64 "]", &inode) == 1 && inodes.contains(inode)) {
      return true;
    }
  }
  return false;
}

// Whether SIGKILL waits for the process, in the hexadecimal mask behind `name`.
bool kill_is_pending(const std::string& status, const char* name) {
  const size_t at = status.find(name);
  if (at == std::string::npos) return false;
  const uint64_t mask = std::strtoull(status.c_str() + at + std::strlen(name), nullptr, 16);
  return (mask & (uint64_t{1} << (SIGKILL - 1))) != 0;
}

bool is_dying(const std::string& process) {
  const std::string stat = read_small_file(process + "/stat");
  const size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos) return true;  // Gone since we looked.
  char state = 'X';
  unsigned flags = 0;
  std::sscanf(stat.c_str() + name_end + 1, " %c %*d %*d %*d %*d %*d %u", &state, &flags);
  constexpr unsigned kExiting = 0x4;  // PF_EXITING of the kernel's sched.h.
  if (state == 'Z' || state == 'X' || (flags & kExiting) != 0) return true;
  const std::string status = read_small_file(process + "/status");
  return kill_is_pending(status, "SigPnd:") || kill_is_pending(status, "ShdPnd:");
}

}  // namespace

std::optional<PortOwner> listening_process(int port) {
  std::set<uint64_t> inodes;
  add_listeners("/proc/net/tcp", port, &inodes);
  add_listeners("/proc/net/tcp6", port, &inodes);
  if (inodes.empty()) return std::nullopt;
  const Directory processes(opendir("/proc"), &closedir);
  if (processes == nullptr) return std::nullopt;
  while (const dirent* entry = readdir(processes.get())) {
    const pid_t pid = std::atoi(entry->d_name);
    if (pid <= 0) continue;
    const std::string process = std::string("/proc/") + entry->d_name;
    if (!holds_one_of(process, inodes) || is_dying(process)) continue;
    std::string program = read_small_file(process + "/comm");
    if (!program.empty() && program.back() == '\n') program.pop_back();
    return PortOwner{pid, program};
  }
  return std::nullopt;
}

}  // namespace postback::io
