// What ten million remembered ids cost in memory, by the set's own account and by the process's.
//
//   ninja -C build bench/dedupe_memory && build/bench/dedupe_memory
//
// Exit 1 when ids of 16 bytes, a usual length, cost more than 64 bytes each.
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <string>

#include "ingest/dedupe_set.h"

namespace {

constexpr size_t kIds = 10'000'000;
constexpr double kBytesMax = 64;

// Resident memory of this process in bytes.
double resident_bytes() {
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  if (file == nullptr) return 0;
  unsigned long all = 0;
  unsigned long resident = 0;
  if (std::fscanf(file, "%lu %lu", &all, &resident) != 2) resident = 0;
  std::fclose(file);
  return static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE));
}

// Bytes for each id of `length`, as the process sees them.
double measure(int length) {
  const double before = resident_bytes();
  const auto start = std::chrono::steady_clock::now();
  // Twice as many, so that one generation holds them all and none is forgotten.
  postback::ingest::DedupeSet set(2 * kIds + 2);
  char id[64];
  for (size_t i = 0; i < kIds; ++i) {
    std::snprintf(id, sizeof id, "%0*zu", length, i * 2654435761 % 1'000'000'000'000);
    set.add(0, id);
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  const double count = static_cast<double>(set.size());
  const double resident = (resident_bytes() - before) / count;
  std::printf(
      "%d bytes an id: %zu ids, %.1f bytes each by the set's account, %.1f resident, %.2f s\n",
      length, set.size(), static_cast<double>(set.memory_bytes()) / count, resident,
      seconds.count());
  return resident;
}

}  // namespace

int main() {
  const double usual = measure(16);
  measure(36);  // A UUID.
  return usual <= kBytesMax ? 0 : 1;
}
