#include "base/ownership.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace postback::base {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr uid_t kOther = 65534;  // nobody.

// Root makes things, and another user meets them: as after `postbackctl init` as root.
class OwnershipTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "only root can make files of two users";
    char name[] = "/tmp/ownership-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    folder_ = name;
    ASSERT_EQ(chmod(name, 0755), 0);
  }
  void TearDown() override {
    if (folder_.empty()) return;
    ASSERT_EQ(seteuid(0), 0);
    std::filesystem::remove_all(folder_);
  }
  std::string make_folder(const std::string& name, mode_t mode) {
    const std::string path = folder_ + "/" + name;
    EXPECT_EQ(mkdir(path.c_str(), mode), 0);
    EXPECT_EQ(chmod(path.c_str(), mode), 0);
    return path;
  }
  std::string make_file(const std::string& name, uid_t owner) {
    const std::string path = folder_ + "/" + name;
    std::ofstream(path) << "x";
    EXPECT_EQ(chmod(path.c_str(), 0640), 0);
    EXPECT_EQ(chown(path.c_str(), owner, owner), 0);
    return path;
  }
  static void become_other() { ASSERT_EQ(seteuid(kOther), 0); }

  std::string folder_;
};

TEST_F(OwnershipTest, AFolderThatRootMadeIsNamedForWhatIsMissingInIt) {
  const std::string data = make_folder("data", 0750);
  become_other();
  EXPECT_THAT(ownership_trouble(data + "/journal"),
              AllOf(HasSubstr(data + " belongs to root"), HasSubstr("chown -R")));
  EXPECT_THAT(ownership_trouble(data + "/journal/0001.log"), HasSubstr(data + " belongs to root"));
}

TEST_F(OwnershipTest, AFileThatRootMadeInOurFolderIsNamed) {
  const std::string data = make_folder("data", 0750);
  ASSERT_EQ(chown(data.c_str(), kOther, kOther), 0);
  const std::string control = make_file("data/control.db", 0);
  const std::string rector = make_file("data/rector.db", kOther);
  const std::string wal = make_file("data/rector.db-wal", 0);
  make_file("data/involve.db", kOther);
  become_other();
  EXPECT_THAT(ownership_trouble(control), HasSubstr(control + " belongs to root"));
  EXPECT_THAT(ownership_trouble(rector), HasSubstr(wal + " belongs to root"));
  EXPECT_THAT(ownership_trouble(data + "/involve.db"), IsEmpty());
  EXPECT_THAT(ownership_trouble(data + "/new.db"), IsEmpty());
  EXPECT_THAT(unusable_entries(data, 5), ElementsAre(control, wal));
  EXPECT_THAT(unusable_entries(data, 1), ElementsAre(control));
}

TEST_F(OwnershipTest, WhatRootMadeAFolderBelowIsFound) {
  const std::string data = make_folder("data", 0755);
  ASSERT_EQ(chown(data.c_str(), kOther, kOther), 0);
  const std::string journal = make_folder("data/journal", 0750);
  become_other();
  EXPECT_THAT(unusable_entries(data, 5), ElementsAre(journal));
  EXPECT_THAT(ownership_trouble(journal + "/lock"), HasSubstr(journal + " belongs to root"));
}

TEST_F(OwnershipTest, RootIsRefusedNothing) {
  const std::string data = make_folder("data", 0700);
  ASSERT_EQ(chown(data.c_str(), kOther, kOther), 0);
  EXPECT_THAT(ownership_trouble(data + "/x"), IsEmpty());
}

}  // namespace
}  // namespace postback::base
