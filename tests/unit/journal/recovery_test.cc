#include "journal/recovery.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "base/crc32c.h"
#include "journal/fault_disk.h"
#include "journal_fixture.h"

namespace postback::journal {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// A journal of a few frames of one block each. Frame 1: id 1, frame 2: id 2, frame 3: ids 30 to 34,
// frame 4: id 4; frame 5 is empty and closes the journal, unless the process dies.
class RecoveryTest : public testing::Test {
 protected:
  enum class End : uint8_t { closed, killed };

  void write(End end) {
    base::Result<std::unique_ptr<Writer>> opened = Writer::open(writer_options(&disk_, &clock_));
    ASSERT_TRUE(opened.ok()) << opened.status().message();
    std::unique_ptr<Writer> writer = opened.take();
    Client client(writer.get());
    ASSERT_EQ(client.append(1), AppendResult::durable);
    ASSERT_EQ(client.append(2), AppendResult::durable);
    ASSERT_EQ(client.append(30, 5), AppendResult::durable);
    ASSERT_EQ(client.append(4), AppendResult::durable);
    if (end == End::killed) disk_.fail_at(1, FakeDisk::Fault::error, true);
    writer.reset();
    disk_.fail_never();
    whole_ = disk_.content(path());
  }

  static std::string path(uint64_t number = 1) { return segment_path(kFolder, number); }
  // Where frame `lsn` starts.
  static uint64_t frame(uint64_t lsn) { return kFramesOffset + (lsn - 1) * kBlockBytes; }
  void set_bytes(const std::string& bytes) { disk_.set_content(path(), bytes); }
  void flip(uint64_t offset, int bit = 0) {
    std::string bytes = disk_.content(path());
    bytes[offset] = static_cast<char>(bytes[offset] ^ (1 << bit));
    set_bytes(bytes);
  }
  Recovered recover_now() {
    base::Result<Recovered> recovered = recover(&disk_, kFolder);
    EXPECT_TRUE(recovered.ok()) << recovered.status().message();
    return recovered.take();
  }
  std::string error_of_recovery() {
    base::Result<Recovered> recovered = recover(&disk_, kFolder);
    EXPECT_FALSE(recovered.ok());
    return recovered.status().message();
  }
  // Opens the journal again and appends one record.
  void append_in_new_process(int64_t id) {
    base::Result<std::unique_ptr<Writer>> opened = Writer::open(writer_options(&disk_, &clock_));
    ASSERT_TRUE(opened.ok()) << opened.status().message();
    const std::unique_ptr<Writer> writer = opened.take();
    Client client(writer.get());
    ASSERT_EQ(client.append(id), AppendResult::durable);
  }

  FakeDisk disk_;
  FakeClock clock_;
  std::string whole_;
};

TEST_F(RecoveryTest, ZerosToTheEndAreACleanEnd) {
  write(End::closed);
  const Recovered recovered = recover_now();
  EXPECT_FALSE(recovered.damaged());
  EXPECT_TRUE(recovered.torn.empty());
  EXPECT_EQ(recovered.records, 8u);
  EXPECT_EQ(recovered.undrained_records, 8u);
  EXPECT_EQ(recovered.durable_records, 8u);
  EXPECT_EQ(recovered.next_lsn, 6u);
  ASSERT_EQ(recovered.segments.size(), 1u);
  EXPECT_EQ(recovered.segments[0].partners.at(1).last, (Position{4, 0}));
}

TEST_F(RecoveryTest, ATornTailIsCutAndACopyIsKept) {
  write(End::killed);
  // The payload of the last frame did not arrive whole.
  std::string torn = whole_;
  std::fill(torn.begin() + static_cast<long>(frame(4)) + 100, torn.end(), '\0');
  set_bytes(torn);
  const Recovered recovered = recover_now();
  EXPECT_FALSE(recovered.damaged());
  ASSERT_EQ(recovered.torn.size(), 1u);
  EXPECT_EQ(recovered.torn[0].offset, frame(4));
  EXPECT_EQ(recovered.next_lsn, 4u);
  EXPECT_EQ(disk_.content(path()).size(), frame(4));
  const std::string kept = disk_.content(torn_path(kFolder, 1));
  EXPECT_EQ(kept.substr(0, 100), whole_.substr(frame(4), 100));
  EXPECT_THAT(read_everything(&disk_).ids, ElementsAre(1, 2, 30, 31, 32, 33, 34));
  // Once more: nothing is left to do, and what comes next follows without a gap.
  EXPECT_TRUE(recover_now().torn.empty());
  append_in_new_process(50);
  const Everything all = read_everything(&disk_);
  EXPECT_THAT(all.ids, ElementsAre(1, 2, 30, 31, 32, 33, 34, 50));
  EXPECT_TRUE(all.gaps.empty());
}

TEST_F(RecoveryTest, AFileCutAnywhereLosesOnlyWhatWasCut) {
  write(End::killed);
  for (uint64_t size = frame(1); size <= frame(5); size += 97) {
    set_bytes(whole_.substr(0, size));
    const Recovered recovered = recover_now();
    const uint64_t whole_frames = (size - kFramesOffset) / kBlockBytes;
    // A frame whose padding was cut is whole all the same.
    EXPECT_GE(recovered.next_lsn, whole_frames + 1) << size;
    EXPECT_LE(recovered.next_lsn, whole_frames + 2) << size;
    EXPECT_FALSE(recovered.damaged()) << size;
  }
}

// The checkpoint may be ahead of the frames that are left. Were their numbers given again, what is
// written under them would pass for drained.
TEST_F(RecoveryTest, NumbersThatTheCheckpointCallsDrainedAreNotGivenAgain) {
  write(End::killed);
  base::Result<Recovered> drained = survey(&disk_, kFolder);
  ASSERT_TRUE(drained.ok());
  Checkpoint checkpoint = drained.value().checkpoint.checkpoint;
  checkpoint.next_lsn = 1;
  checkpoint.partners[1] = {4, 1};
  checkpoint.partners[2] = {3, 0};
  ASSERT_TRUE(commit_checkpoint(&disk_, kFolder, &checkpoint, {}).ok());
  set_bytes(whole_.substr(0, frame(2)));  // Frames 2 to 4 did not survive.
  append_in_new_process(50);
  const Recovered recovered = recover_now();
  const Everything all = read_everything(&disk_, &recovered.checkpoint.checkpoint);
  EXPECT_TRUE(all.has(50));
  EXPECT_EQ(recovered.undrained_records, 1u);
}

TEST_F(RecoveryTest, ACutInFrontOfTheClosingFrameIsNoticedByTheNextSegment) {
  write(End::closed);
  append_in_new_process(50);
  set_bytes(whole_.substr(0, frame(3)));  // Exactly between two frames.
  const Recovered recovered = recover_now();
  EXPECT_TRUE(recovered.damaged());
  ASSERT_EQ(recovered.gaps.size(), 1u);
  EXPECT_EQ(recovered.gaps[0].first_lsn, 3u);
  EXPECT_EQ(recovered.gaps[0].last_lsn, 5u);
  EXPECT_EQ(recovered.gaps[0].records, 6u);
  EXPECT_THAT(read_everything(&disk_).ids, ElementsAre(1, 2, 50));
}

// Which frame a byte belongs to; 0: none.
uint64_t frame_of(uint64_t offset) {
  return offset < kFramesOffset ? 0 : (offset - kFramesOffset) / kBlockBytes + 1;
}
uint64_t frame_of_id(int64_t id) {
  return id >= 30 ? 3 : static_cast<uint64_t>(id);
}

TEST_F(RecoveryTest, EveryFlippedByteCostsAtMostItsFrameAndIsReported) {
  write(End::closed);
  const std::vector<int64_t> ids = {1, 2, 30, 31, 32, 33, 34, 4};
  // The bytes that mean something: headers, and each frame up to its padding.
  for (uint64_t offset = 0; offset < frame(6); ++offset) {
    std::string bad = whole_;
    bad[offset] = static_cast<char>(bad[offset] ^ 0xff);
    set_bytes(bad);
    base::Result<Recovered> surveyed = survey(&disk_, kFolder);
    ASSERT_TRUE(surveyed.ok()) << offset;
    const Recovered& found = surveyed.value();
    const Everything all = read_everything(&disk_);
    for (const int64_t id : ids) {
      if (frame_of_id(id) != frame_of(offset)) {
        ASSERT_TRUE(all.has(id)) << offset << " id " << id;
      }
    }
    uint64_t lost = 0;
    for (const Gap& gap : found.gaps) {
      EXPECT_EQ(gap.first_lsn, frame_of(offset)) << offset;
      EXPECT_EQ(gap.last_lsn, frame_of(offset)) << offset;
      ASSERT_TRUE(gap.records.has_value()) << offset;
      lost += *gap.records;
    }
    EXPECT_EQ(all.ids.size() + lost, ids.size()) << offset;
    EXPECT_EQ(found.records, all.ids.size()) << offset;
    if (offset < kFramesOffset) {
      EXPECT_EQ(found.header_copies_damaged.size(), 1u) << offset;
    }
    if (HasFailure()) return;
  }
}

TEST_F(RecoveryTest, LengthsThatLieAreNeitherTrustedNorFollowed) {
  write(End::closed);
  constexpr uint64_t kPayloadBytesAt = 52;
  for (const uint32_t lie : {0u, 1u, 63u, 0x7fffffffu, 0x80000000u, 0xffffffffu}) {
    std::string bad = whole_;
    for (int i = 0; i < 4; ++i) {
      bad[frame(2) + kPayloadBytesAt + static_cast<uint64_t>(i)] =
          static_cast<char>(lie >> (8 * i));
    }
    set_bytes(bad);
    const Recovered recovered = recover_now();
    ASSERT_EQ(recovered.gaps.size(), 1u) << lie;
    EXPECT_EQ(recovered.gaps[0].first_lsn, 2u);
    EXPECT_EQ(recovered.gaps[0].records, 1u);
    EXPECT_EQ(recovered.records, 7u);
  }
}

TEST_F(RecoveryTest, OtherRecordsOfADamagedFrameAreSaved) {
  write(End::closed);
  const size_t record_size = bytes_of(make_conversion(30)).size();
  flip(frame(3) + kFrameHeaderBytes + 2 * record_size + 40);
  const Everything all = read_everything(&disk_);
  EXPECT_THAT(all.ids, ElementsAre(1, 2, 30, 31, 33, 34, 4));
  ASSERT_EQ(all.gaps.size(), 1u);
  EXPECT_EQ(all.gaps[0].records, 1u);
  EXPECT_EQ(all.positions[4], (Position{3, 3}));
  EXPECT_THAT(gap_text(all.gaps[0]), HasSubstr("frames 3 to 3 records lost 1"));
}

TEST_F(RecoveryTest, WhatTheDiskDoesNotReadThisTimeIsToldFromWhatIsLost) {
  write(End::closed);
  const std::vector<int64_t> ids = read_everything(&disk_).ids;
  size_t gaps = 0;
  for (uint64_t at = 1;; ++at) {
    FaultPlan plan;
    plan.fail_at = at;
    plan.fail_reads = true;
    FaultDisk failing(&disk_, plan, [] { ADD_FAILURE() << "a crash"; });
    const Everything all = read_everything(&failing);
    if (failing.read_count() < at) break;
    for (const Gap& gap : all.gaps) EXPECT_EQ(gap.read_error, -EIO) << at;
    EXPECT_TRUE(all.failed || !all.gaps.empty() || all.ids == ids) << at;
    gaps += all.gaps.size();
  }
  EXPECT_GT(gaps, 0u);
  EXPECT_EQ(read_everything(&disk_).ids, ids);
  flip(frame(2) + 70);
  ASSERT_EQ(read_everything(&disk_).gaps.size(), 1u);
  EXPECT_EQ(read_everything(&disk_).gaps[0].read_error, 0);
}

TEST_F(RecoveryTest, BytesOfAnotherSegmentBehindTheEndAreTheEnd) {
  write(End::killed);
  append_in_new_process(50);
  const std::string other = disk_.content(path(2));
  std::string stale = whole_;
  const std::string old_frame = other.substr(kFramesOffset, kBlockBytes);
  ASSERT_EQ(old_frame.substr(0, 4), "PBJF");
  stale.replace(frame(5), old_frame.size(), old_frame);
  set_bytes(stale);
  const Recovered recovered = recover_now();
  EXPECT_FALSE(recovered.damaged());
  EXPECT_TRUE(recovered.torn.empty());
  EXPECT_EQ(recovered.stale.size(), 1u);
  EXPECT_THAT(read_everything(&disk_).ids, ElementsAre(1, 2, 30, 31, 32, 33, 34, 4, 50));
  EXPECT_EQ(disk_.content(path()), stale) << "stale bytes are left alone";
}

TEST_F(RecoveryTest, AnUnknownVersionIsRefusedWithItsNumber) {
  write(End::closed);
  SegmentHeader header;
  header.version = 3;
  header.segment_bytes = kSmallSegmentBytes;
  const std::string block = encode_segment_header(header);
  set_bytes(block + block + whole_.substr(kFramesOffset));
  EXPECT_THAT(error_of_recovery(),
              HasSubstr("has format version 3, this program reads versions up to 2"));
  EXPECT_FALSE(Writer::open(writer_options(&disk_, &clock_)).ok());
  EXPECT_THAT(read_everything(&disk_).error, HasSubstr("format version 3"));
}

TEST_F(RecoveryTest, ASegmentWithoutAnyHeaderIsKeptAndWhatItHeldIsCounted) {
  write(End::closed);
  append_in_new_process(50);
  set_bytes(std::string(kFramesOffset, 'x') + whole_.substr(kFramesOffset));
  const Recovered recovered = recover_now();
  EXPECT_TRUE(recovered.damaged());
  EXPECT_EQ(recovered.records, 1u);
  EXPECT_THAT(recovered.gaps[0].reason, HasSubstr("both copies"));
  EXPECT_TRUE(recovered.segments[0].damaged);
  EXPECT_THAT(read_everything(&disk_).ids, ElementsAre(50));
}

TEST_F(RecoveryTest, AMissingSegmentIsReportedOnceAndDoesNotStopTheStart) {
  write(End::closed);
  append_in_new_process(50);
  append_in_new_process(60);
  ASSERT_EQ(disk_.unlink(path(2)), 0);
  const Recovered recovered = recover_now();
  ASSERT_EQ(recovered.gaps.size(), 1u);
  EXPECT_EQ(recovered.gaps[0].first_lsn, 6u);
  EXPECT_EQ(recovered.gaps[0].records, 1u);
  append_in_new_process(70);
  EXPECT_THAT(read_everything(&disk_).ids, ElementsAre(1, 2, 30, 31, 32, 33, 34, 4, 60, 70));
}

TEST_F(RecoveryTest, TheLastFrameOfACleanlyClosedJournalIsNotTakenForATornTail) {
  write(End::closed);
  flip(frame(4) + kFrameHeaderBytes + 20);
  const Recovered recovered = recover_now();
  EXPECT_TRUE(recovered.torn.empty());
  ASSERT_EQ(recovered.gaps.size(), 1u);
  EXPECT_EQ(recovered.gaps[0].first_lsn, 4u);
  EXPECT_EQ(disk_.content(path()).size(), whole_.size()) << "damage is never cut away";
}

// Nothing of the segment itself tells a torn write from damage; the next segment does, whose first
// frame says up to where everything was durable.
TEST_F(RecoveryTest, ADamagedLastFrameOfASegmentIsNotTornWhenTheNextSegmentCallsItDurable) {
  write(End::killed);
  append_in_new_process(50);
  const std::string before = disk_.content(path());
  for (const uint64_t offset : {frame(4) + 8, frame(4) + kFrameHeaderBytes + 20}) {
    set_bytes(before);
    flip(offset);
    const std::string damaged = disk_.content(path());
    const Recovered recovered = recover_now();
    EXPECT_TRUE(recovered.torn.empty()) << offset;
    EXPECT_TRUE(recovered.damaged()) << offset;
    ASSERT_EQ(recovered.gaps.size(), 1u) << offset;
    EXPECT_EQ(recovered.gaps[0].first_lsn, 4u);
    EXPECT_EQ(recovered.gaps[0].last_lsn, 4u);
    EXPECT_EQ(recovered.gaps[0].records, 1u);
    EXPECT_EQ(disk_.content(path()), damaged) << "damage is never cut away";
  }
}

TEST_F(RecoveryTest, ExactlyOneMissingFrameIsTold) {
  write(End::killed);
  append_in_new_process(50);
  set_bytes(whole_.substr(0, frame(4)));
  const Recovered recovered = recover_now();
  EXPECT_TRUE(recovered.damaged());
  ASSERT_EQ(recovered.gaps.size(), 1u);
  EXPECT_EQ(recovered.gaps[0].first_lsn, 4u);
  EXPECT_EQ(recovered.gaps[0].last_lsn, 4u);
  EXPECT_EQ(recovered.gaps[0].records, 1u);
  EXPECT_THAT(read_everything(&disk_).ids, ElementsAre(1, 2, 30, 31, 32, 33, 34, 50));
}

// A frame that a killed process had written, but not synced, is read back from the kernel's memory:
// what the start finds counts as accepted, so a power cut must not take it away any more.
TEST_F(RecoveryTest, WhatIsFoundSurvivesAPowerCutAlthoughItsWriterDiedBeforeTheSync) {
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    FakeDisk disk;
    base::Result<std::unique_ptr<Writer>> opened = Writer::open(writer_options(&disk, &clock_));
    ASSERT_TRUE(opened.ok()) << opened.status().message();
    std::unique_ptr<Writer> writer = opened.take();
    Client client(writer.get());
    ASSERT_EQ(client.append(1), AppendResult::durable);
    disk.die_at_next_frame_sync();
    ASSERT_EQ(client.append(2, 5), AppendResult::failed);
    writer.reset();
    disk.fail_never();
    base::Result<Recovered> recovered = recover(&disk, kFolder);
    ASSERT_TRUE(recovered.ok()) << recovered.status().message();
    ASSERT_EQ(recovered.value().records, 6u);
    disk.reboot(seed);
    const Everything all = read_everything(&disk);
    EXPECT_THAT(all.ids, ElementsAre(1, 2, 3, 4, 5, 6)) << "seed " << seed;
    EXPECT_TRUE(all.gaps.empty()) << "seed " << seed;
  }
}

TEST_F(RecoveryTest, RandomBytesNeitherCrashNorHang) {
  write(End::closed);
  const uint64_t seed = std::random_device()();
  std::mt19937_64 random(seed);
  for (int round = 0; round < 200; ++round) {
    std::string bad = whole_;
    const size_t count = 1 + random() % 64;
    for (size_t i = 0; i < count; ++i) bad[random() % bad.size()] = static_cast<char>(random());
    if (random() % 4 == 0) bad.resize(random() % bad.size());
    set_bytes(bad);
    const base::Result<Recovered> recovered = recover(&disk_, kFolder);
    const Everything all = read_everything(&disk_);
    EXPECT_LE(all.ids.size(), 8u) << "seed " << seed;
  }
}

}  // namespace
}  // namespace postback::journal
