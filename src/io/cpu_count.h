// How many CPUs the process may use: the number of cores the server runs unless told otherwise.
#pragma once

#include <string>

namespace postback::io {

// The smaller of the CPUs in the thread's affinity mask (sched_getaffinity(2)) and the cgroup's
// CPU quota, rounded up; at least 1.
int usable_cpu_count();

// The CPU quota (cgroup v2 cpu.max, cgroup v1 cpu.cfs_quota_us over cpu.cfs_period_us) of this
// process's control group and of those above it, rounded up; 0 when there is none. `root` stands
// before /proc and /sys: "" but for tests.
int cgroup_cpu_quota(const std::string& root);

}  // namespace postback::io
