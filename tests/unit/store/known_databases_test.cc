#include "store/known_databases.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

namespace postback::store {
namespace {

DatabaseIdentity on_timeline(uint32_t timeline, const std::string& cluster = "7301") {
  DatabaseIdentity identity;
  identity.system_identifier = cluster;
  identity.timeline = timeline;
  return identity;
}

class KnownDatabasesTest : public testing::Test {
 protected:
  KnownDatabasesTest() : folder_(std::filesystem::temp_directory_path() / "known-XXXXXX") {
    EXPECT_NE(mkdtemp(folder_.data()), nullptr);
  }
  ~KnownDatabasesTest() override { std::filesystem::remove_all(folder_); }
  std::string file() const { return folder_ + "/databases.known"; }

  std::string folder_;
};

TEST_F(KnownDatabasesTest, APrimaryOfBeforeAFailoverIsRefusedWhateverDatabaseOfItIsAsked) {
  KnownDatabases known;
  EXPECT_TRUE(known.at("one", "a", 0).meet(on_timeline(1)).ok());
  EXPECT_TRUE(known.at("one", "a", 0).meet(on_timeline(2)).ok());
  const base::Status refused = known.at("another", "b", 0).meet(on_timeline(1));
  EXPECT_FALSE(refused.ok());
  EXPECT_NE(refused.message().find("timeline 1, and timeline 2"), std::string::npos)
      << refused.message();
  EXPECT_TRUE(known.at("one", "a", 0).meet(on_timeline(1, "another cluster")).ok());
  EXPECT_TRUE(known.at("one", "a", 0).meet(DatabaseIdentity{}).ok());  // Not told.
}

TEST_F(KnownDatabasesTest, TheHighestTimelineOutlivesTheProcess) {
  {
    KnownDatabases known;
    ASSERT_TRUE(known.keep_in(folder_).ok());
    EXPECT_TRUE(known.at("one", "a", 0).meet(on_timeline(3)).ok());
  }
  KnownDatabases known;
  ASSERT_TRUE(known.keep_in(folder_).ok());
  EXPECT_FALSE(known.at("one", "a", 0).meet(on_timeline(2)).ok());
  EXPECT_TRUE(known.at("one", "a", 0).meet(on_timeline(3)).ok());
}

TEST_F(KnownDatabasesTest,
       WhatAnOperatorForgetsIsForgottenOnceAlsoWhenTheServerWasStoppedMeanwhile) {
  {
    KnownDatabases known;
    ASSERT_TRUE(known.keep_in(folder_).ok());
    KnownDatabase& database = known.at("one", "a", 4);
    EXPECT_TRUE(database.meet(on_timeline(3)).ok());
    database.note_open();
    known.at("one", "a", 4);
    EXPECT_TRUE(database.was_open());
    known.at("one", "a", 5);
    EXPECT_FALSE(database.was_open());
  }
  KnownDatabases known;
  ASSERT_TRUE(known.keep_in(folder_).ok());
  EXPECT_FALSE(known.at("one", "a", 5).meet(on_timeline(2)).ok());  // Heard before.
  EXPECT_TRUE(known.at("one", "a", 6).meet(on_timeline(2)).ok());
  EXPECT_TRUE(known.at("one", "a", 6).meet(on_timeline(3)).ok());
  EXPECT_FALSE(known.at("one", "a", 6).meet(on_timeline(2)).ok());  // For one meeting.
}

TEST_F(KnownDatabasesTest, AFileThatCannotBeUnderstoodIsToldAndWrittenAnew) {
  std::ofstream(file()) << "postback-databases 1\ntimeline 7301 two\n";
  {
    KnownDatabases known;
    const base::Status status = known.keep_in(folder_);
    EXPECT_FALSE(status.ok());
    EXPECT_NE(status.message().find("timeline 7301 two"), std::string::npos) << status.message();
    EXPECT_TRUE(known.at("one", "a", 0).meet(on_timeline(2)).ok());
  }
  KnownDatabases known;
  EXPECT_TRUE(known.keep_in(folder_).ok());
  EXPECT_FALSE(known.at("one", "a", 0).meet(on_timeline(1)).ok());
}

TEST(DatabaseIdentity, TellsWhatBothKnowAndDiffer) {
  DatabaseIdentity before = on_timeline(1);
  before.incarnation = "x";
  DatabaseIdentity now = on_timeline(2);
  EXPECT_EQ(identity_difference(before, now), "timeline 1 before, 2 now");
  now.incarnation = "y";
  EXPECT_EQ(identity_difference(before, now),
            "timeline 1 before, 2 now; incarnation x before, y now");
  EXPECT_EQ(identity_difference(DatabaseIdentity{}, now), "");
  EXPECT_EQ(identity_difference(now, now), "");
}

}  // namespace
}  // namespace postback::store
