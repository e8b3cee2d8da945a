#include "server/connection_room.h"

#include <sys/resource.h>

#include <algorithm>

namespace postback::server {
namespace {

// What the process holds beside clients and partners: streams and log (4), control database,
// journal, drain and purge (about 20), files that are looked at for a moment.
constexpr uint64_t kProcessDescriptors = 40;
// A ring or an epoll, its eventfd, a listener; one more while a listener's queue is looked at.
constexpr uint64_t kCoreDescriptors = 4;
// Two connections to SQLite hold three files each, and the lock; to PostgreSQL two in all.
constexpr uint64_t kLaneDescriptors = 8;
// Fewer clients than these would make the server useless, whatever its partners need.
constexpr uint64_t kClientsPerCoreMin = 2;

}  // namespace

uint32_t clients_max(uint64_t open_files_max, uint32_t core_count, size_t lane_count) {
  const uint64_t wanted =
      kProcessDescriptors + kCoreDescriptors * core_count + kLaneDescriptors * lane_count;
  // With a limit that is far too small for its partners, clients keep a quarter of it.
  const uint64_t kept = std::min(wanted, open_files_max / 4 * 3);
  const uint64_t per_core = (open_files_max - kept) / core_count;
  return static_cast<uint32_t>(std::clamp<uint64_t>(per_core, kClientsPerCoreMin, UINT32_MAX / 2));
}

uint64_t open_files_max() {
  rlimit limit{};
  // The call fails for a wrong argument only; 1024 is what most systems begin with.
  return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 1024;
}

}  // namespace postback::server
