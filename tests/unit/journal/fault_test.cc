// Every operation on the disk fails once, or from then on, or the power goes at it. Always: what
// was acknowledged is there after recovery, and nothing is reported lost.
#include <gtest/gtest.h>

#include "journal_fixture.h"

namespace postback::journal {
namespace {

using Fault = FakeDisk::Fault;

// A life of the journal: appends over several segments, drains the first half, appends more.
// Returns the ids acknowledged and still undrained.
class Life {
 public:
  Life(FakeDisk* disk, FakeClock* clock) : disk_(disk), clock_(clock) {}

  void run() {
    base::Result<std::unique_ptr<Writer>> opened = Writer::open(writer_options(disk_, clock_));
    if (!opened.ok()) return;
    std::unique_ptr<Writer> writer = opened.take();
    Client client(writer.get());
    for (int i = 0; i < 12; ++i) client.append(next_id_ += 10, 1 + i % 3, 1 + i % 2);
    drain(writer.get());
    for (int i = 0; i < 6; ++i) client.append(next_id_ += 10, 2);
    acknowledged_.insert(client.acknowledged().begin(), client.acknowledged().end());
    writer.reset();
    EXPECT_EQ(disk_->syncs_after_failure(), 0u);
    EXPECT_EQ(disk_->writes_after_failure(), 0u);
  }

  // Everything that is durable in sealed segments goes into a "database", then the checkpoint.
  void drain(Writer* writer) {
    const std::vector<SegmentSummary> sealed = writer->sealed_segments();
    base::Result<LoadedCheckpoint> loaded = load_checkpoint(disk_, kFolder);
    if (!loaded.ok() || sealed.empty()) return;
    Checkpoint checkpoint = loaded.value().checkpoint;
    ReaderOptions options;
    options.frames.disk = disk_;
    options.frames.folder = kFolder;
    options.frames.segments = list_segments(disk_, kFolder).take();
    options.frames.checkpoint = checkpoint;
    options.frames.last_lsn = writer->status().durable_lsn;
    Reader reader(options);
    while (reader.next() == ReaderStep::record) {
      if (reader.position().lsn > sealed.back().last_lsn) break;
      database_.insert(reader.conversion().id);
      checkpoint.partners[reader.conversion().partner_id] = reader.position_after();
    }
    base::Result<std::vector<uint64_t>> gone =
        commit_checkpoint(disk_, kFolder, &checkpoint, sealed);
    if (gone.ok()) writer->forget_segments(gone.value());
  }

  // The oracle.
  void expect_nothing_lost(const std::string& when) {
    base::Result<std::unique_ptr<Writer>> opened = Writer::open(writer_options(disk_, clock_));
    ASSERT_TRUE(opened.ok()) << when << ": " << opened.status().message();
    std::unique_ptr<Writer> writer = opened.take();
    for (const Gap& gap : writer->recovered().gaps) {
      ADD_FAILURE() << when << ": " << gap_text(gap);
    }
    const Checkpoint& checkpoint = writer->recovered().checkpoint.checkpoint;
    const Everything all = read_everything(disk_, &checkpoint);
    for (const int64_t id : acknowledged_) {
      EXPECT_TRUE(all.has(id) || database_.contains(id)) << when << ": id " << id << " is lost";
    }
    EXPECT_TRUE(all.gaps.empty()) << when;
    // And it goes on.
    Client client(writer.get());
    EXPECT_EQ(client.append(1'000'000), AppendResult::durable) << when;
    EXPECT_EQ(disk_->overlapping_frames(), 0u) << when;
  }

  size_t acknowledged_count() const { return acknowledged_.size(); }

 private:
  FakeDisk* const disk_;
  FakeClock* const clock_;
  int64_t next_id_ = 0;
  std::set<int64_t> acknowledged_;
  std::set<int64_t> database_;
};

uint64_t operations_of_a_life() {
  FakeDisk disk;
  FakeClock clock;
  Life life(&disk, &clock);
  life.run();
  EXPECT_EQ(life.acknowledged_count(), 36u);
  return disk.operation_count();
}

void fail_every_operation(Fault fault, bool persistent, uint64_t reboot_seed) {
  const uint64_t count = operations_of_a_life();
  ASSERT_GT(count, 60u);
  for (uint64_t at = 1; at <= count + 1; ++at) {
    const std::string when = "operation " + std::to_string(at) + " of " + std::to_string(count) +
                             ", seed " + std::to_string(reboot_seed + at);
    FakeDisk disk;
    FakeClock clock;
    Life life(&disk, &clock);
    disk.fail_at(at, fault, persistent);
    life.run();
    // Then the machine restarts: by a power cut, or only the process.
    if (fault == Fault::power_cut || at % 2 == 0) {
      disk.reboot(reboot_seed + at);
    } else {
      disk.fail_never();
    }
    life.expect_nothing_lost(when);
    if (testing::Test::HasFailure()) return;
  }
}

TEST(JournalFaults, AnErrorAtEveryOperationLosesNothing) {
  fail_every_operation(Fault::error, false, std::random_device()());
}
TEST(JournalFaults, ErrorsFromEveryOperationOnLoseNothing) {
  fail_every_operation(Fault::error, true, std::random_device()());
}
TEST(JournalFaults, AFullDiskAtEveryOperationLosesNothing) {
  fail_every_operation(Fault::no_space, true, std::random_device()());
}
TEST(JournalFaults, AShortWriteAtEveryOperationLosesNothing) {
  fail_every_operation(Fault::short_write, false, std::random_device()());
}
TEST(JournalFaults, APowerCutAtEveryOperationLosesNothing) {
  const uint64_t seed = std::random_device()();
  for (uint64_t round = 0; round < 6; ++round) {
    fail_every_operation(Fault::power_cut, true, seed + 1000 * round);
  }
}

}  // namespace
}  // namespace postback::journal
