#include "journal/writer.h"

#include <gmock/gmock.h>

#include <chrono>
#include <thread>

#include "journal_fixture.h"

namespace postback::journal {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Fault = FakeDisk::Fault;

class WriterTest : public testing::Test {
 protected:
  std::unique_ptr<Writer> open() {
    base::Result<std::unique_ptr<Writer>> writer = Writer::open(writer_options(&disk_, &clock_));
    EXPECT_TRUE(writer.ok()) << writer.status().message();
    return writer.take();
  }
  // Appends until a segment was sealed, from `id` on; returns the next id.
  static int64_t fill_segment(Writer* writer, Client* client, int64_t id) {
    const size_t sealed = writer->sealed_segments().size();
    while (writer->sealed_segments().size() == sealed) {
      EXPECT_EQ(client->append(id++), AppendResult::durable);
    }
    return id;
  }

  FakeDisk disk_;
  FakeClock clock_;
};

TEST_F(WriterTest, WhatIsAcknowledgedIsReadInOrder) {
  {
    auto writer = open();
    Client client(writer.get());
    EXPECT_EQ(client.append(10, 3), AppendResult::durable);
    EXPECT_EQ(client.last_position(), (Position{1, 0}));
    EXPECT_EQ(client.append(20, 1, 2), AppendResult::durable);
    EXPECT_EQ(writer->status().state, WriterState::ready);
    EXPECT_EQ(writer->status().durable_lsn, 2u);
  }
  const Everything all = read_everything(&disk_);
  EXPECT_THAT(all.ids, ElementsAre(10, 11, 12, 20));
  EXPECT_THAT(all.positions,
              ElementsAre(Position{1, 0}, Position{1, 1}, Position{1, 2}, Position{2, 0}));
  EXPECT_TRUE(all.gaps.empty());
}

TEST_F(WriterTest, NumbersGoOnAfterARestartAndSparesAreUsedAgain) {
  for (int round = 0; round < 5; ++round) {
    auto writer = open();
    EXPECT_TRUE(writer->recovered().gaps.empty());
    EXPECT_EQ(writer->recovered().records, static_cast<uint64_t>(round));
    Client client(writer.get());
    EXPECT_EQ(client.append(round), AppendResult::durable);
  }
  EXPECT_THAT(read_everything(&disk_).ids, ElementsAre(0, 1, 2, 3, 4));
  // One for each round, and the last spare perhaps.
  EXPECT_LE(list_segments(&disk_, kFolder).value().size(), 6u);
}

TEST_F(WriterTest, ManyAppendsShareOneFrame) {
  auto writer = open();
  Client client(writer.get());
  ASSERT_EQ(client.append(0), AppendResult::durable);
  for (int i = 1; i <= 50; ++i) client.start(i, i % 3);
  client.wait_for_all();
  EXPECT_LT(writer->status().durable_lsn, 51u);
  EXPECT_EQ(disk_.overlapping_frames(), 0u);
  writer.reset();
  EXPECT_EQ(read_everything(&disk_).ids.size(), 51u);
}

TEST_F(WriterTest, SegmentsFollowOneAnotherWithoutAGap) {
  auto writer = open();
  Client client(writer.get());
  int64_t id = 0;
  for (int i = 0; i < 4; ++i) id = fill_segment(writer.get(), &client, id);
  const std::vector<SegmentSummary> sealed = writer->sealed_segments();
  ASSERT_EQ(sealed.size(), 4u);
  EXPECT_EQ(sealed[0].first_lsn, 1u);
  EXPECT_EQ(sealed[1].first_lsn, sealed[0].last_lsn + 1);
  EXPECT_EQ(sealed[1].partners.at(1).records, sealed[1].records);
  writer.reset();
  const Everything all = read_everything(&disk_);
  EXPECT_EQ(all.ids.size(), static_cast<size_t>(id));
  EXPECT_TRUE(all.gaps.empty());
}

TEST_F(WriterTest, AnAppendThatNoFrameWouldHoldIsTooLarge) {
  auto writer = open();
  Client client(writer.get());
  Conversion large = make_conversion(1);
  large.set(Field::body, std::string(kSmallSegmentBytes, 'x'));
  EXPECT_EQ(client.append(std::vector<Conversion>{large}), AppendResult::too_large);
  EXPECT_EQ(client.append(2), AppendResult::durable);
}

TEST_F(WriterTest, AnErrorOfASyncFailsItsAppendsAndTheSpareTakesOver) {
  auto writer = open();
  Client client(writer.get());
  ASSERT_EQ(client.append(1), AppendResult::durable);
  disk_.fail_next_frame_sync();
  EXPECT_EQ(client.append(2), AppendResult::failed);
  EXPECT_EQ(client.append(3), AppendResult::durable);
  EXPECT_EQ(writer->status().state, WriterState::ready);
  EXPECT_EQ(writer->status().failed_frames, 1u);
  EXPECT_THAT(writer->status().error, HasSubstr("Input/output error"));
  writer.reset();
  EXPECT_EQ(disk_.syncs_after_failure(), 0u);
  EXPECT_EQ(disk_.writes_after_failure(), 0u);
  const Everything all = read_everything(&disk_);
  EXPECT_TRUE(all.has(1) && all.has(3));
  EXPECT_TRUE(all.gaps.empty());
}

TEST_F(WriterTest, AShortWriteIsNeverAcknowledged) {
  auto writer = open();
  Client client(writer.get());
  ASSERT_EQ(client.append(1), AppendResult::durable);
  disk_.fail_next_frame_write(Fault::short_write);
  EXPECT_EQ(client.append(2, 20), AppendResult::failed);
  EXPECT_THAT(writer->status().error, HasSubstr("short write"));
  EXPECT_EQ(client.append(30), AppendResult::durable);
  writer.reset();
  const Everything all = read_everything(&disk_);
  EXPECT_THAT(all.ids, ElementsAre(1, 30));
  EXPECT_TRUE(all.gaps.empty());
}

TEST_F(WriterTest, TwoFailuresWithinTenSecondsCloseTheJournal) {
  auto writer = open();
  Client client(writer.get());
  ASSERT_EQ(client.append(1), AppendResult::durable);
  disk_.fail_next_frame_sync();
  EXPECT_EQ(client.append(2), AppendResult::failed);
  EXPECT_EQ(writer->status().state, WriterState::ready);
  clock_.advance_ns(kFailureWindowNs - 1);
  ASSERT_EQ(client.append(3), AppendResult::durable);
  disk_.fail_next_frame_write(Fault::error);
  EXPECT_EQ(client.append(4), AppendResult::failed);
  EXPECT_EQ(writer->status().state, WriterState::failed);
  EXPECT_THAT(writer->status().error, HasSubstr("second failure within 10 s"));
  EXPECT_EQ(client.append(5), AppendResult::refused);
  EXPECT_EQ(client.probe(), AppendResult::refused);
  writer.reset();
  writer = open();
  Client again(writer.get());
  EXPECT_EQ(again.append(6), AppendResult::durable);
  const Everything all = read_everything(&disk_);
  EXPECT_TRUE(all.has(1) && all.has(3) && all.has(6));
  EXPECT_TRUE(all.gaps.empty());
}

TEST_F(WriterTest, FailuresFarApartDoNotCloseTheJournal) {
  auto writer = open();
  Client client(writer.get());
  for (int i = 0; i < 5; ++i) {
    ASSERT_EQ(client.append(10 * i), AppendResult::durable);
    disk_.fail_next_frame_sync();
    EXPECT_EQ(client.append(10 * i + 1), AppendResult::failed);
    clock_.advance_ns(kFailureWindowNs);
  }
  EXPECT_EQ(client.append(100), AppendResult::durable);
}

TEST_F(WriterTest, NearlyFullDisksRefuseBeforeTheDiskDoes) {
  auto writer = open();
  Client client(writer.get());
  ASSERT_EQ(client.append(1), AppendResult::durable);
  disk_.set_space({2 * kSmallSegmentBytes - 1, 1 << 20});
  EXPECT_EQ(client.append(2), AppendResult::refused);
  EXPECT_EQ(writer->status().state, WriterState::refusing);
  EXPECT_THAT(writer->status().error, HasSubstr("free"));
  EXPECT_EQ(client.probe(), AppendResult::refused);
  disk_.set_space({1ull << 30, 1ull << 40});  // Many segments, but less than five per cent.
  EXPECT_EQ(client.append(3), AppendResult::refused);
  disk_.set_space({1ull << 38, 1ull << 40});
  EXPECT_EQ(client.probe(), AppendResult::durable);
  EXPECT_EQ(writer->status().state, WriterState::ready);
  EXPECT_EQ(client.append(4), AppendResult::durable);
  writer.reset();
  EXPECT_THAT(read_everything(&disk_).ids, ElementsAre(1, 4));
}

TEST_F(WriterTest, WithoutRoomForASpareTheCurrentSegmentIsKept) {
  auto writer = open();
  Client client(writer.get());
  ASSERT_EQ(client.append(1), AppendResult::durable);
  disk_.fail_new_files(true);
  AppendResult result = AppendResult::durable;
  int64_t id = 2;
  while (result == AppendResult::durable && id < 100) result = client.append(id++);
  EXPECT_EQ(result, AppendResult::refused);
  EXPECT_EQ(writer->status().state, WriterState::refusing);
  EXPECT_THAT(writer->status().error, HasSubstr("No space left on device"));
  disk_.fail_new_files(false);
  EXPECT_EQ(client.append(999), AppendResult::refused) << "not tried again at once";
  clock_.advance_ns(kSpareRetryNs);
  EXPECT_EQ(client.append(1000), AppendResult::durable);
  EXPECT_EQ(writer->status().state, WriterState::ready);
  EXPECT_EQ(writer->status().failed_frames, 0u);
  writer.reset();
  EXPECT_EQ(read_everything(&disk_).ids.size(), client.acknowledged().size());
}

TEST_F(WriterTest, AShortageAtTheStartPassesWithoutAnybodyAsking) {
  disk_.fail_new_files(true);
  base::Result<std::unique_ptr<Writer>> opened =
      Writer::open(writer_options(&disk_, &base::system_clock()));
  ASSERT_TRUE(opened.ok()) << opened.status().message();
  const std::unique_ptr<Writer> writer = opened.take();
  const auto becomes = [&](WriterState state) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (writer->status().state != state && std::chrono::steady_clock::now() < end) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return writer->status().state == state;
  };
  ASSERT_TRUE(becomes(WriterState::refusing));
  disk_.fail_new_files(false);
  EXPECT_TRUE(becomes(WriterState::ready));
}

TEST_F(WriterTest, ASecondProcessIsRefused) {
  auto writer = open();
  base::Result<std::unique_ptr<Writer>> second = Writer::open(writer_options(&disk_, &clock_));
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(second.status().message(), HasSubstr("in use by another process"));
  writer.reset();
  EXPECT_TRUE(Writer::open(writer_options(&disk_, &clock_)).ok());
}

TEST_F(WriterTest, AReplacedFolderClosesTheJournal) {
  auto writer = open();
  Client client(writer.get());
  ASSERT_EQ(client.append(1), AppendResult::durable);
  disk_.replace_folder();
  EXPECT_EQ(client.append(2), AppendResult::failed);
  EXPECT_EQ(writer->status().state, WriterState::failed);
  EXPECT_THAT(writer->status().error, HasSubstr("moved, removed or replaced"));
  EXPECT_EQ(client.append(3), AppendResult::refused);
}

TEST_F(WriterTest, AReaderFollowsTheWriterUpToWhatIsDurable) {
  auto writer = open();
  Client client(writer.get());
  int64_t id = 0;
  for (int i = 0; i < 2; ++i) id = fill_segment(writer.get(), &client, id);
  ReaderOptions options;
  options.frames.disk = &disk_;
  options.frames.folder = kFolder;
  options.frames.segments = list_segments(&disk_, kFolder).take();
  options.frames.last_lsn = writer->status().durable_lsn - 1;
  Reader reader(options);
  int64_t count = 0;
  while (reader.next() == ReaderStep::record) ++count;
  EXPECT_EQ(reader.next(), ReaderStep::end);
  EXPECT_EQ(count, id - 1);
}

}  // namespace
}  // namespace postback::journal
