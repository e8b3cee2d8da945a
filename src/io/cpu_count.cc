#include "io/cpu_count.h"

#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <memory>
#include <sstream>

namespace postback::io {
namespace {

// CPU masks grow until the kernel's fits; no kernel knows more than 2^16 CPUs.
constexpr int kCpusFirst = 1024;
constexpr int kCpusMax = 1 << 16;

int affinity_count() {
  struct Free {
    void operator()(cpu_set_t* set) const { CPU_FREE(set); }
  };
  for (int cpus = kCpusFirst; cpus <= kCpusMax; cpus *= 2) {
    const std::unique_ptr<cpu_set_t, Free> set(CPU_ALLOC(static_cast<size_t>(cpus)));
    if (set == nullptr) return 1;
    const size_t bytes = CPU_ALLOC_SIZE(static_cast<size_t>(cpus));
    if (sched_getaffinity(0, bytes, set.get()) == 0) return CPU_COUNT_S(bytes, set.get());
    if (errno != EINVAL) return 1;
  }
  return 1;
}

// 0 for a quota that is not there or not readable as one.
int rounded_up(int64_t quota_us, int64_t period_us) {
  if (quota_us <= 0 || period_us <= 0) return 0;
  const int64_t cpus = quota_us / period_us + (quota_us % period_us != 0 ? 1 : 0);
  return static_cast<int>(std::min<int64_t>(cpus, kCpusMax));
}

int64_t read_number(const std::string& path) {
  std::ifstream file(path);
  int64_t number = 0;
  return file >> number ? number : 0;
}

// cpu.max: "150000 100000", or "max 100000" for no quota.
int quota_v2(const std::string& folder) {
  std::ifstream file(folder + "/cpu.max");
  int64_t quota_us = 0;
  int64_t period_us = 0;
  return file >> quota_us >> period_us ? rounded_up(quota_us, period_us) : 0;
}

// The quota is -1 when there is none.
int quota_v1(const std::string& folder) {
  return rounded_up(read_number(folder + "/cpu.cfs_quota_us"),
                    read_number(folder + "/cpu.cfs_period_us"));
}

int smaller_quota(int a, int b) {
  if (a == 0 || b == 0) return std::max(a, b);
  return std::min(a, b);
}

// The smallest quota from `mount`/`group` up to `mount` itself. A container may see its own group
// mounted as the root of the hierarchy while /proc names it by the host's path; folders that do
// not exist have no quota, so the walk ends at the right one.
int smallest_quota(int (*quota)(const std::string&), const std::string& mount, std::string group) {
  int smallest = 0;
  for (;;) {
    while (!group.empty() && group.back() == '/') group.pop_back();
    smallest = smaller_quota(smallest, quota(mount + group));
    if (group.empty()) return smallest;
    group.resize(group.find_last_of('/') == std::string::npos ? 0 : group.find_last_of('/'));
  }
}

bool names_cpu(const std::string& controllers) {
  std::istringstream list(controllers);
  for (std::string name; std::getline(list, name, ',');) {
    if (name == "cpu") return true;
  }
  return false;
}

}  // namespace

int usable_cpu_count() {
  return std::max(1, smaller_quota(affinity_count(), cgroup_cpu_quota("")));
}

int cgroup_cpu_quota(const std::string& root) {
  // A line per hierarchy, "ID:CONTROLLERS:GROUP"; v2 is the one with ID 0 and no controllers
  // (cgroups(7)).
  std::ifstream groups(root + "/proc/self/cgroup");
  const std::string mount = root + "/sys/fs/cgroup";
  int smallest = 0;
  for (std::string line; std::getline(groups, line);) {
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string group = line.substr(second + 1);
    if (controllers.empty()) {
      smallest = smaller_quota(smallest, smallest_quota(quota_v2, mount, group));
    } else if (names_cpu(controllers)) {
      // Mounted under the controllers' names in the order of that line, or linked as "cpu".
      for (const std::string& name : {controllers, std::string("cpu")}) {
        smallest = smaller_quota(smallest, smallest_quota(quota_v1, mount + "/" + name, group));
      }
    }
  }
  return smallest;
}

}  // namespace postback::io
