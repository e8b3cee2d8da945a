// The disk that fails on request, over the one in memory.
#include "journal/fault_disk.h"

#include <gmock/gmock.h>
#include <signal.h>

#include <chrono>
#include <cstdlib>
#include <map>
#include <thread>

#include "journal_fixture.h"

namespace postback::journal {
namespace {

using testing::HasSubstr;

base::Result<FaultPlan> plan_of(std::map<std::string, std::string> environment) {
  return read_fault_plan([&](const char* name) { return environment[name]; });
}

std::unique_ptr<FaultDisk> disk_over(FakeDisk* below, FaultPlan plan) {
  return std::make_unique<FaultDisk>(below, plan, [] { ADD_FAILURE() << "a crash"; });
}

// One of each change, in this order; the results.
std::vector<int64_t> change_everything(Disk* disk) {
  std::unique_ptr<Lock> lock;
  std::vector<int64_t> results;
  results.push_back(disk->make_folder("f"));
  results.push_back(disk->lock("f/LOCK", &lock));
  std::unique_ptr<File> file;
  results.push_back(disk->open("f/a", OpenMode::create, &file));
  if (file == nullptr && disk->open("f/a", OpenMode::create, &file) != 0) return results;
  results.push_back(file->pwrite("12345678", 0));
  results.push_back(file->fdatasync());
  results.push_back(file->truncate(2));
  results.push_back(disk->rename("f/a", "f/b"));
  results.push_back(disk->sync_folder("f"));
  results.push_back(disk->unlink("f/b"));
  return results;
}

TEST(FaultPlan, NothingInTheEnvironmentIsNoFault) {
  base::Result<FaultPlan> plan = plan_of({});
  ASSERT_TRUE(plan.ok());
  EXPECT_FALSE(plan.value().any());
}

TEST(FaultPlan, EveryVariableIsRead) {
  base::Result<FaultPlan> plan = plan_of({{"PB_FAIL_IO_AT", "12:persist:short"},
                                          {"PB_CRASH_AT", "3"},
                                          {"PB_HANG_IO_AT", "4"},
                                          {"PB_SLOW_SYNC_MS", "200"}});
  ASSERT_TRUE(plan.ok());
  FaultPlan expected;
  expected.fail_at = 12;
  expected.fail_persistent = expected.fail_short = true;
  expected.crash_at = 3;
  expected.hang_at = 4;
  expected.sync_delay_ms = 200;
  EXPECT_EQ(plan.value(), expected);
  EXPECT_TRUE(plan_of({{"PB_FAIL_IO_AT", "1:reads"}}).value().fail_reads);
}

TEST(FaultPlan, WhatIsNotUnderstoodIsRefusedByName) {
  for (const char* value : {"x", "0", "-1", "1:", "1:often", "1:short:", ":short", "1 ", "1e3",
                            "18446744073709551616"}) {
    base::Result<FaultPlan> plan = plan_of({{"PB_FAIL_IO_AT", value}});
    ASSERT_FALSE(plan.ok()) << value;
    EXPECT_THAT(plan.status().message(), HasSubstr("PB_FAIL_IO_AT=")) << value;
  }
  EXPECT_FALSE(plan_of({{"PB_CRASH_AT", "1:persist"}}).ok());
  EXPECT_FALSE(plan_of({{"PB_SLOW_SYNC_MS", "fast"}}).ok());
}

TEST(FaultDisk, WithoutAFaultEverythingReachesTheDiskBelow) {
  FakeDisk below;
  auto disk = disk_over(&below, {});
  EXPECT_EQ(change_everything(disk.get()), (std::vector<int64_t>{0, 0, 0, 8, 0, 0, 0, 0, 0}));
  EXPECT_EQ(disk->change_count(), 9u);
  EXPECT_EQ(disk->read_count(), 0u);
  EXPECT_FALSE(below.exists("f/a"));
}

TEST(FaultDisk, EachChangeFailsWhenItIsTheOneNamedAndReachesNothing) {
  for (uint64_t at = 1; at <= 9; ++at) {
    FakeDisk below;
    FaultPlan plan;
    plan.fail_at = at;
    auto disk = disk_over(&below, plan);
    const std::vector<int64_t> results = change_everything(disk.get());
    ASSERT_EQ(results.size(), 9u) << at;
    for (uint64_t i = 0; i < 9; ++i) {
      if (i + 1 == at) {
        EXPECT_EQ(results[i], -EIO) << at;
      } else if (at != 7 || i < 7) {  // Without the rename there is nothing to remove.
        EXPECT_GE(results[i], 0) << at << ", operation " << i + 1;
      }
    }
    EXPECT_EQ(below.exists("f/b"), at == 9);
    EXPECT_EQ(below.exists("f/a"), at == 7);
  }
}

TEST(FaultDisk, APersistentFaultFailsAllThatFollows) {
  FakeDisk below;
  FaultPlan plan;
  plan.fail_at = 4;
  plan.fail_persistent = true;
  auto disk = disk_over(&below, plan);
  EXPECT_EQ(change_everything(disk.get()),
            (std::vector<int64_t>{0, 0, 0, -EIO, -EIO, -EIO, -EIO, -EIO, -EIO}));
}

TEST(FaultDisk, AShortWriteSaysHowMuchItWrote) {
  FakeDisk below;
  FaultPlan plan;
  plan.fail_at = 4;
  plan.fail_short = true;
  auto disk = disk_over(&below, plan);
  EXPECT_EQ(change_everything(disk.get())[3], 4);
  plan.fail_at = 5;  // Not a write: it cannot be short.
  FakeDisk other;
  disk = disk_over(&other, plan);
  EXPECT_EQ(change_everything(disk.get())[4], -EIO);
}

TEST(FaultDisk, ReadsAreCountedByThemselves) {
  FakeDisk below;
  below.set_content("f/a", "text");
  FaultPlan plan;
  plan.fail_at = 3;
  plan.fail_reads = true;
  auto disk = disk_over(&below, plan);
  std::vector<std::string> names;
  std::unique_ptr<File> file;
  char bytes[8];
  EXPECT_EQ(disk->sync_folder("f"), 0);
  EXPECT_EQ(disk->list("f", &names), 0);
  ASSERT_EQ(disk->open("f/a", OpenMode::read, &file), 0);
  EXPECT_EQ(file->pread(bytes, sizeof bytes, 0), -EIO);
  EXPECT_EQ(file->pread(bytes, sizeof bytes, 0), 4);
  EXPECT_EQ(file->size(), 4);
  Space space;
  EXPECT_EQ(disk->space("f", &space), 0);
  EXPECT_EQ(disk->read_count(), 6u);
  EXPECT_EQ(disk->change_count(), 1u);
}

TEST(FaultDisk, ACrashComesBeforeItsOperation) {
  FakeDisk below;
  below.set_content("f/a", "text");
  FaultPlan plan;
  plan.crash_at = 2;
  bool crashed = false;
  FaultDisk disk(&below, plan, [&] { crashed = below.exists("f/a"); });
  EXPECT_EQ(disk.sync_folder("f"), 0);
  EXPECT_FALSE(crashed);
  EXPECT_EQ(disk.unlink("f/a"), 0);
  EXPECT_TRUE(crashed);
}

TEST(FaultDisk, ASlowDiskTakesItsTimeForEachSync) {
  FakeDisk below;
  FaultPlan plan;
  plan.sync_delay_ms = 20;
  auto disk = disk_over(&below, plan);
  std::unique_ptr<File> file;
  ASSERT_EQ(disk->open("f/a", OpenMode::create, &file), 0);
  const auto started = std::chrono::steady_clock::now();
  EXPECT_EQ(file->fdatasync(), 0);
  EXPECT_GE(std::chrono::steady_clock::now() - started, std::chrono::milliseconds(20));
}

// The disk of the process, in a process of its own: it is made once.
TEST(ProcessDiskDeathTest, WithoutVariablesIsTheRealOne) {
  EXPECT_EXIT(_exit(&disk_for_process() == &real_disk() ? 7 : 1), testing::ExitedWithCode(7), "");
}

TEST(ProcessDiskDeathTest, CrashMeansSigkill) {
  const auto crash = [] {
    setenv("PB_CRASH_AT", "1", 1);
    disk_for_process().unlink("/nonexistent/file");
  };
  EXPECT_EXIT(crash(), testing::KilledBySignal(SIGKILL), "for tests only");
}

TEST(ProcessDiskDeathTest, AnOperationThatHangsNeverReturns) {
  const auto hang = [] {
    setenv("PB_HANG_IO_AT", "1", 1);
    Disk& disk = disk_for_process();
    std::thread([&disk] {
      disk.unlink("/nonexistent/file");
      _exit(1);
    }).detach();
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    _exit(7);
  };
  EXPECT_EXIT(hang(), testing::ExitedWithCode(7), "");
}

TEST(ProcessDiskDeathTest, AVariableThatIsNotUnderstoodFailsEveryOperation) {
  const auto misspelt = [] {
    setenv("PB_FAIL_IO_AT", "soon", 1);
    Disk& disk = disk_for_process();
    std::unique_ptr<Lock> lock;
    const bool failed = disk.lock("/tmp/unused", &lock) == -EIO && disk.sync_folder("/tmp") == -EIO;
    log_disk_operations();
    _exit(failed ? 7 : 1);
  };
  EXPECT_EXIT(misspelt(), testing::ExitedWithCode(7), "PB_FAIL_IO_AT=soon is not understood");
}

}  // namespace
}  // namespace postback::journal
