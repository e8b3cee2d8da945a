#include "journal/checkpoint.h"

#include <gmock/gmock.h>

#include "base/crc32c.h"
#include "journal_fixture.h"

namespace postback::journal {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Checkpoint full_checkpoint() {
  Checkpoint checkpoint;
  checkpoint.floor = {7, 3};
  checkpoint.partners[-1] = {9, 0};
  checkpoint.partners[5] = {8, 2};
  checkpoint.removed = {{12, 20}, {30, 31}};
  checkpoint.next_lsn = 40;
  checkpoint.next_segment = 6;
  return checkpoint;
}

TEST(Checkpoint, ComesBackAsItWas) {
  Checkpoint out;
  ASSERT_TRUE(decode_checkpoint(encode_checkpoint(full_checkpoint()), &out));
  EXPECT_EQ(out, full_checkpoint());
}

TEST(Checkpoint, EveryFlippedByteAndEveryCutIsNoticed) {
  const std::string bytes = encode_checkpoint(full_checkpoint());
  Checkpoint out;
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string bad = bytes;
    bad[i] = static_cast<char>(bad[i] ^ 0x10);
    EXPECT_FALSE(decode_checkpoint(bad, &out)) << i;
    EXPECT_FALSE(decode_checkpoint(std::string_view(bytes).substr(0, i), &out)) << i;
  }
  EXPECT_EQ(out, Checkpoint());
}

TEST(Checkpoint, KnowsWhatIsDrained) {
  const Checkpoint checkpoint = full_checkpoint();
  EXPECT_TRUE(checkpoint.drained(1, {7, 2}));
  EXPECT_FALSE(checkpoint.drained(1, {7, 3}));
  EXPECT_TRUE(checkpoint.drained(5, {8, 1}));
  EXPECT_FALSE(checkpoint.drained(5, {8, 2}));
  EXPECT_TRUE(checkpoint.covers(1, 6));
  EXPECT_FALSE(checkpoint.covers(1, 7));
  EXPECT_TRUE(checkpoint.covers(12, 19));
  EXPECT_FALSE(checkpoint.covers(12, 21));
}

// A journal with three sealed segments; partner 2 has records in the first only.
class CheckpointTest : public testing::Test {
 protected:
  void SetUp() override {
    open();
    Client client(writer_.get());
    EXPECT_EQ(client.append(1, 1, 2), AppendResult::durable);
    int64_t id = 10;
    while (writer_->sealed_segments().size() < 3) {
      EXPECT_EQ(client.append(id++), AppendResult::durable);
    }
    last_id_ = id - 1;
  }
  void open() {
    writer_.reset();
    base::Result<std::unique_ptr<Writer>> opened = Writer::open(writer_options(&disk_, &clock_));
    ASSERT_TRUE(opened.ok()) << opened.status().message();
    writer_ = opened.take();
  }
  // Commits that these partners are drained up to the end of what is sealed.
  std::vector<uint64_t> commit(const std::vector<int32_t>& partners) {
    base::Result<LoadedCheckpoint> loaded = load_checkpoint(&disk_, kFolder);
    EXPECT_TRUE(loaded.ok());
    checkpoint_ = loaded.value().checkpoint;
    const std::vector<SegmentSummary> sealed = writer_->sealed_segments();
    for (const int32_t partner : partners) {
      checkpoint_.partners[partner] = {sealed.back().last_lsn + 1, 0};
    }
    base::Result<std::vector<uint64_t>> gone =
        commit_checkpoint(&disk_, kFolder, &checkpoint_, sealed);
    EXPECT_TRUE(gone.ok()) << gone.status().message();
    writer_->forget_segments(gone.value());
    return gone.value();
  }

  FakeDisk disk_;
  FakeClock clock_;
  std::unique_ptr<Writer> writer_;
  Checkpoint checkpoint_;
  int64_t last_id_ = 0;
};

TEST_F(CheckpointTest, DrainedSegmentsAreRemovedAndUndrainedOnesStay) {
  EXPECT_THAT(commit({}), IsEmpty());
  EXPECT_THAT(commit({1}), ElementsAre(2, 3));
  EXPECT_EQ(checkpoint_.removed.size(), 1u);
  open();
  EXPECT_THAT(writer_->recovered().gaps, IsEmpty()) << "removed is not missing";
  // Partner 2 and what partner 1 has in the unsealed segment are left.
  Everything all = read_everything(&disk_, &writer_->recovered().checkpoint.checkpoint);
  EXPECT_THAT(all.ids, ElementsAre(1, last_id_));
  EXPECT_THAT(all.gaps, IsEmpty());
  // The one that was active is sealed now, and everything of it is drained with the first.
  EXPECT_THAT(commit({1, 2}), ElementsAre(1, 4));
  EXPECT_THAT(checkpoint_.removed, IsEmpty());
  EXPECT_THAT(checkpoint_.partners, IsEmpty());
  EXPECT_THAT(writer_->sealed_segments(), IsEmpty());
}

TEST_F(CheckpointTest, NumbersAreNeverGivenAgainWhenEverythingIsGone) {
  commit({1, 2});
  open();
  commit({1, 2});
  const uint64_t next_lsn = checkpoint_.next_lsn;
  writer_.reset();
  for (const uint64_t number : list_segments(&disk_, kFolder).take()) {
    ASSERT_EQ(disk_.unlink(segment_path(kFolder, number)), 0);
  }
  open();
  EXPECT_EQ(writer_->recovered().next_lsn, next_lsn);
  Client client(writer_.get());
  ASSERT_EQ(client.append(7000), AppendResult::durable);
  EXPECT_GE(client.last_position().lsn, next_lsn);
  const Everything all = read_everything(&disk_, &writer_->recovered().checkpoint.checkpoint);
  EXPECT_THAT(all.ids, ElementsAre(7000));
  EXPECT_THAT(all.gaps, IsEmpty());
}

TEST_F(CheckpointTest, ALostOrDamagedOneMeansDrainingFromTheStart) {
  commit({1});
  writer_.reset();
  const std::string path = std::string(kFolder) + "/" + kCheckpointName;
  std::string bytes = disk_.content(path);
  bytes[20] = static_cast<char>(bytes[20] ^ 1);
  disk_.set_content(path, bytes);
  open();
  EXPECT_EQ(writer_->recovered().checkpoint.state, CheckpointState::damaged);
  Everything all = read_everything(&disk_, &writer_->recovered().checkpoint.checkpoint);
  EXPECT_TRUE(all.has(1) && all.has(10) && all.has(last_id_));
  writer_.reset();
  ASSERT_EQ(disk_.unlink(path), 0);
  open();
  EXPECT_EQ(writer_->recovered().checkpoint.state, CheckpointState::missing);
  all = read_everything(&disk_, &writer_->recovered().checkpoint.checkpoint);
  EXPECT_TRUE(all.has(1) && all.has(10) && all.has(last_id_));
}

TEST_F(CheckpointTest, ALostOneIsMadeAnewWithoutReportingWhatWasDeletedBefore) {
  commit({1, 2});  // Segments 1 to 3 are gone.
  writer_.reset();
  ASSERT_EQ(disk_.unlink(std::string(kFolder) + "/" + kCheckpointName), 0);
  open();
  Checkpoint checkpoint = writer_->recovered().checkpoint.checkpoint;
  ASSERT_TRUE(commit_checkpoint(&disk_, kFolder, &checkpoint, {}).ok());
  open();
  EXPECT_THAT(writer_->recovered().gaps, IsEmpty());
  EXPECT_EQ(writer_->recovered().records, 1u);
}

TEST_F(CheckpointTest, AMissingSegmentThatItNamesIsFine) {
  ASSERT_EQ(disk_.unlink(segment_path(kFolder, 2)), 0);
  EXPECT_THAT(commit({1, 2}), ElementsAre(1, 2, 3));
  open();
  EXPECT_THAT(writer_->recovered().gaps, IsEmpty());
}

TEST_F(CheckpointTest, ADamagedSegmentIsKeptUnderAnotherNameWhenDrained) {
  writer_.reset();
  std::string bytes = disk_.content(segment_path(kFolder, 1));
  bytes[kFramesOffset + kFrameHeaderBytes + 30] ^= 1;
  disk_.set_content(segment_path(kFolder, 1), bytes);
  open();
  EXPECT_TRUE(writer_->recovered().damaged());
  EXPECT_THAT(commit({1, 2}), ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(disk_.content(damaged_path(kFolder, 1)), bytes);
  EXPECT_FALSE(disk_.exists(segment_path(kFolder, 1)));
  open();
  EXPECT_FALSE(writer_->recovered().damaged());
  EXPECT_EQ(writer_->recovered().kept.size(), 1u);
}

TEST_F(CheckpointTest, NothingIsRemovedBeforeTheCheckpointIsDurable) {
  base::Result<LoadedCheckpoint> loaded = load_checkpoint(&disk_, kFolder);
  const std::vector<SegmentSummary> sealed = writer_->sealed_segments();
  writer_.reset();                        // Its thread's own operations would be counted too.
  for (uint64_t at = 1; at <= 5; ++at) {  // Create, write, sync, rename, sync of the folder.
    Checkpoint checkpoint = loaded.value().checkpoint;
    for (const int32_t partner : {1, 2}) {
      checkpoint.partners[partner] = {sealed.back().last_lsn + 1, 0};
    }
    disk_.fail_at(at, FakeDisk::Fault::error, false);
    EXPECT_FALSE(commit_checkpoint(&disk_, kFolder, &checkpoint, sealed).ok());
    for (const uint64_t number : {1, 2, 3}) {
      EXPECT_TRUE(disk_.exists(segment_path(kFolder, number))) << at;
    }
  }
}

// Segments are deleted on its word: it must be on the disk before it takes the old one's name.
TEST_F(CheckpointTest, OneThatWasCommittedSurvivesAPowerCutWhole) {
  writer_.reset();
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    Checkpoint checkpoint = full_checkpoint();
    checkpoint.partners[5] = {100 + seed, 1};
    ASSERT_TRUE(commit_checkpoint(&disk_, kFolder, &checkpoint, {}).ok());
    disk_.reboot(seed);
    base::Result<LoadedCheckpoint> loaded = load_checkpoint(&disk_, kFolder);
    ASSERT_TRUE(loaded.ok()) << loaded.status().message();
    ASSERT_EQ(loaded.value().state, CheckpointState::read) << "seed " << seed;
    EXPECT_EQ(loaded.value().checkpoint, checkpoint) << "seed " << seed;
  }
}

TEST_F(CheckpointTest, OneOfALaterVersionIsRefused) {
  writer_.reset();
  std::string bytes = encode_checkpoint(full_checkpoint());
  bytes[8] = 3;
  bytes.resize(bytes.size() - 4);
  const uint32_t crc = base::crc32c(bytes);
  for (int i = 0; i < 4; ++i) bytes.push_back(static_cast<char>(crc >> (8 * i)));
  disk_.set_content(std::string(kFolder) + "/" + kCheckpointName, bytes);
  base::Result<LoadedCheckpoint> loaded = load_checkpoint(&disk_, kFolder);
  ASSERT_FALSE(loaded.ok());
  EXPECT_THAT(loaded.status().message(), HasSubstr("format version 3"));
}

}  // namespace
}  // namespace postback::journal
