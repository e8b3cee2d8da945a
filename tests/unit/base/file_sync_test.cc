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

}  // namespace
}  // namespace postback::base
