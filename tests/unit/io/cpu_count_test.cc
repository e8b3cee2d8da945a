#include "io/cpu_count.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

namespace postback::io {
namespace {

// A folder that stands for / and is removed at the end.
class CpuCount : public testing::Test {
 protected:
  void SetUp() override {
    std::string name =
        std::filesystem::temp_directory_path() / ("cpu_count." + std::string(6, 'X'));
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    root_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  void write(const std::string& path, const std::string& text) {
    const std::filesystem::path file = root_ + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  int quota() { return cgroup_cpu_quota(root_); }

  std::string root_;
};

TEST_F(CpuCount, IsAtLeastOneAndAtMostTheMachines) {
  EXPECT_GE(usable_cpu_count(), 1);
  EXPECT_LE(usable_cpu_count(), sysconf(_SC_NPROCESSORS_CONF));
}

TEST_F(CpuCount, FollowsTheAffinityOfTheThread) {
  int count = 0;
  std::thread([&] {
    cpu_set_t one;
    CPU_ZERO(&one);
    const int cpu = sched_getcpu();
    CPU_SET(static_cast<size_t>(cpu < 0 ? 0 : cpu), &one);
    if (sched_setaffinity(0, sizeof(one), &one) == 0) count = usable_cpu_count();
  }).join();
  EXPECT_EQ(count, 1);
}

TEST_F(CpuCount, HasNoQuotaWithoutCgroups) {
  EXPECT_EQ(quota(), 0);
}

TEST_F(CpuCount, RoundsAVersion2QuotaUp) {
  write("/proc/self/cgroup", "0::/app.slice/server.service\n");
  const std::string folder = "/sys/fs/cgroup/app.slice/server.service";
  write(folder + "/cpu.max", "150000 100000\n");
  EXPECT_EQ(quota(), 2);
  write(folder + "/cpu.max", "200000 100000\n");
  EXPECT_EQ(quota(), 2);
  write(folder + "/cpu.max", "1000 100000\n");
  EXPECT_EQ(quota(), 1);
  write(folder + "/cpu.max", "max 100000\n");
  EXPECT_EQ(quota(), 0);
}

TEST_F(CpuCount, TakesTheSmallestQuotaOfTheGroupsAbove) {
  write("/proc/self/cgroup", "0::/a/b/c\n");
  write("/sys/fs/cgroup/a/cpu.max", "300000 100000\n");
  write("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
  write("/sys/fs/cgroup/a/b/c/cpu.max", "800000 100000\n");
  EXPECT_EQ(quota(), 3);
}

TEST_F(CpuCount, FindsTheQuotaAtTheRootOfAContainer) {
  write("/proc/self/cgroup", "0::/\n");
  write("/sys/fs/cgroup/cpu.max", "400000 100000\n");
  EXPECT_EQ(quota(), 4);
}

TEST_F(CpuCount, ReadsAVersion1Quota) {
  write("/proc/self/cgroup", "5:cpuset:/x\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/x\n0::/\n");
  const std::string folder = "/sys/fs/cgroup/cpu,cpuacct";
  write(folder + "/docker/abc/cpu.cfs_quota_us", "250000\n");
  write(folder + "/docker/abc/cpu.cfs_period_us", "100000\n");
  write(folder + "/cpu.cfs_quota_us", "-1\n");
  write(folder + "/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(quota(), 3);
  write(folder + "/docker/abc/cpu.cfs_quota_us", "-1\n");
  EXPECT_EQ(quota(), 0);
}

TEST_F(CpuCount, ReadsAVersion1QuotaMountedAsTheContainersRoot) {
  write("/proc/self/cgroup", "4:cpuacct,cpu:/docker/abc\n");
  write("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "50000\n");
  write("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(quota(), 1);
}

TEST_F(CpuCount, IgnoresWhatIsNotAQuota) {
  write("/proc/self/cgroup", "nonsense\n0::/\n:\n4:cpu\n");
  for (const char* text : {"", "x y", "-5 100000", "100000 0", "99999999999999999999 1", "7"}) {
    write("/sys/fs/cgroup/cpu.max", text);
    EXPECT_EQ(quota(), 0) << text;
  }
}

}  // namespace
}  // namespace postback::io
