#include "base/file_sync.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace postback::base {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

class FileSync : public ::testing::Test {
 protected:
  FileSync() {
    char name[] = "/tmp/postback-file-sync-XXXXXX";
    CHECK(mkdtemp(name) != nullptr);
    folder_ = name;
  }
  ~FileSync() override { fs::remove_all(folder_); }
  fs::path folder_;
};

TEST_F(FileSync, MissingFoldersAreMadeAndMadeOnesLeftAlone) {
  for (int i = 0; i < 2; ++i) {
    const Status status = make_folders(folder_ / "a" / "b" / "");
    EXPECT_TRUE(status.ok()) << status.message();
    EXPECT_TRUE(fs::is_directory(folder_ / "a" / "b"));
  }
  EXPECT_TRUE(make_folders("").ok()) << "the working folder is there";
}

TEST_F(FileSync, FolderThatCannotBeMadeIsNamed) {
  std::ofstream(folder_ / "file") << "x";
  EXPECT_THAT(make_folders(folder_ / "file" / "data").message(),
              AllOf(HasSubstr("cannot make folder " + (folder_ / "file" / "data").string()),
                    HasSubstr("Not a directory"), HasSubstr("check the path and its rights")));
}

TEST_F(FileSync, FileIsReplacedWholeAndForItsOwnerOnly) {
  const std::string path = folder_ / "secrets";
  std::ofstream(path) << "everybody may read this, which is longer";
  // Left by a process that was killed, for all to read.
  std::ofstream(path + ".new") << "half";
  const Status status = replace_private_file(path, std::string("a\0b\n", 4));
  EXPECT_TRUE(status.ok()) << status.message();
  std::ifstream file(path, std::ios::binary);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), std::string("a\0b\n", 4));
  EXPECT_EQ(fs::status(path).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_FALSE(fs::exists(path + ".new"));
  EXPECT_TRUE(replace_private_file(path, "").ok());
  EXPECT_EQ(fs::file_size(path), 0u);
}

TEST_F(FileSync, FileThatCannotBeReplacedStaysAndNothingIsLeft) {
  const std::string path = folder_ / "taken";
  fs::create_directory(path);
  EXPECT_THAT(replace_private_file(path, "x").message(), HasSubstr("cannot replace " + path));
  EXPECT_TRUE(fs::is_directory(path));
  EXPECT_FALSE(fs::exists(path + ".new"));
  EXPECT_THAT(replace_private_file(folder_ / "none" / "file", "x").message(),
              AllOf(HasSubstr("cannot make"), HasSubstr("No such file or directory")));
}

}  // namespace
}  // namespace postback::base
