// Which file systems a journal may lie on.
#include "journal/place.h"

#include <gmock/gmock.h>
#include <linux/magic.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace postback::journal {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
namespace fs = std::filesystem;
using Environment = std::vector<std::string>;

const Environment kUsual = {"HOME=/root", "K_SERVICE=", "NO_K_SERVICE=x", "K_SERVICE"};
const Environment kCloudRun = {"HOME=/root", "K_SERVICE=postback"};

TEST(Place, MemoryIsNotDurable) {
  EXPECT_EQ(judge_file_system("data", TMPFS_MAGIC, kUsual).why,
            "DATA_DIR data lies on tmpfs, which is lost with the machine");
  for (const uint32_t type :
       {uint32_t{TMPFS_MAGIC}, uint32_t{RAMFS_MAGIC}, uint32_t{HUGETLBFS_MAGIC}}) {
    EXPECT_FALSE(judge_file_system("data", type, kUsual).durable) << type;
    EXPECT_FALSE(judge_file_system("data", type, kCloudRun).durable) << type;
  }
}

TEST(Place, DiskIsDurableAlsoOneOfAnUnknownType) {
  EXPECT_EQ(judge_file_system("/var/lib/postback", EXT4_SUPER_MAGIC, kUsual).why,
            "DATA_DIR /var/lib/postback lies on ext4");
  EXPECT_EQ(judge_file_system("data", 0xCA451A4E, kUsual).why,
            "DATA_DIR data lies on file system type 0xca451a4e");
  for (const uint32_t type :
       {uint32_t{EXT4_SUPER_MAGIC}, uint32_t{XFS_SUPER_MAGIC}, uint32_t{BTRFS_SUPER_MAGIC},
        uint32_t{F2FS_SUPER_MAGIC}, uint32_t{OVERLAYFS_SUPER_MAGIC}, 0x2FC12FC1u, 0xCA451A4Eu}) {
    EXPECT_TRUE(judge_file_system("data", type, kUsual).durable) << type;
    EXPECT_FALSE(judge_file_system("data", type, kCloudRun).durable) << type;
  }
  EXPECT_THAT(judge_file_system("data", OVERLAYFS_SUPER_MAGIC, kCloudRun).why,
              HasSubstr("overlayfs of Cloud Run, which is lost with the instance"));
}

TEST(Place, NfsIsAsDurableAsItsServerOnCloudRunToo) {
  for (const Environment& environment : {kUsual, kCloudRun}) {
    const Place place = judge_file_system("data", NFS_SUPER_MAGIC, environment);
    EXPECT_TRUE(place.durable);
    EXPECT_EQ(place.why, "DATA_DIR data lies on NFS, which is as durable as its server");
  }
}

TEST(Place, FileServersThatMayNotSyncAreNotDurable) {
  for (const Environment& environment : {kUsual, kCloudRun}) {
    for (const uint32_t type : {uint32_t{FUSE_SUPER_MAGIC}, uint32_t{V9FS_MAGIC}}) {
      const Place place = judge_file_system("data", type, environment);
      EXPECT_FALSE(place.durable) << type;
      EXPECT_THAT(place.why, HasSubstr("does not promise that synced data survive"));
    }
  }
}

TEST(Place, FolderNameCannotSteerATerminal) {
  EXPECT_THAT(judge_file_system("a\x1b[31m", TMPFS_MAGIC, kUsual).why,
              StartsWith("DATA_DIR a\\x1b[31m lies on"));
}

class RealPlace : public testing::Test {
 protected:
  // A new folder in `parent`, or none.
  void make_in(const std::string& parent) {
    top_ = parent + "/postback-place-XXXXXX";
    if (mkdtemp(top_.data()) == nullptr) top_.clear();
  }
  void TearDown() override {
    if (!top_.empty()) fs::remove_all(top_);
  }
  static uint32_t type_of(const std::string& folder) {
    struct statfs status {};
    EXPECT_EQ(::statfs(folder.c_str(), &status), 0);
    return static_cast<uint32_t>(status.f_type);
  }
  std::string top_;
};

TEST_F(RealPlace, InSharedMemoryIsNotDurable) {
  make_in("/dev/shm");
  if (top_.empty()) GTEST_SKIP() << "no folder can be made in /dev/shm";
  if (type_of(top_) != TMPFS_MAGIC) GTEST_SKIP() << "/dev/shm is no tmpfs here";
  const Place place = judge_place(top_, kUsual);
  EXPECT_FALSE(place.durable);
  EXPECT_EQ(place.why, "DATA_DIR " + top_ + " lies on tmpfs, which is lost with the machine");
}

TEST_F(RealPlace, OnADiskIsMadeAndIsDurable) {
  make_in("/tmp");
  ASSERT_FALSE(top_.empty());
  const uint32_t type = type_of(top_);
  if (type != EXT4_SUPER_MAGIC && type != XFS_SUPER_MAGIC && type != BTRFS_SUPER_MAGIC &&
      type != OVERLAYFS_SUPER_MAGIC) {
    GTEST_SKIP() << "/tmp lies on no usual disk here: type " << std::hex << type;
  }
  const std::string data_dir = top_ + "/a/data";
  const Place place = judge_place(data_dir, kUsual);
  EXPECT_TRUE(place.durable) << place.why;
  EXPECT_TRUE(fs::is_directory(data_dir));
  EXPECT_FALSE(judge_place(data_dir, kCloudRun).durable);
}

TEST_F(RealPlace, ThatCannotBeMadeIsNotDurable) {
  make_in("/tmp");
  ASSERT_FALSE(top_.empty());
  std::ofstream(top_ + "/file") << "x";
  const Place place = judge_place(top_ + "/file/data", kUsual);
  EXPECT_FALSE(place.durable);
  EXPECT_EQ(place.why, "cannot make folder DATA_DIR " + top_ + "/file/data: Not a directory");
}

}  // namespace
}  // namespace postback::journal
