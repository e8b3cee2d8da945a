// Faults of the disk on request, for tests of the whole program: a disk between the journal and the
// real one that fails, hangs, slows down or kills the process at the Nth operation. A test runs the
// same work with N = 1, 2, … until a run ends that never reached its N.
//
// Operations are counted in two rows, because only the first is the same in every run of the same
// work: changes (new files, writes, fdatasync, truncations, renames, removals, folders made and
// synced, locks) and reads (opening what exists, reading, sizes, lists, free space).
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "journal/disk.h"

namespace postback::journal {

// Numbers count from 1; 0 is never. What crash_at and hang_at name are changes.
struct FaultPlan {
  uint64_t fail_at = 0;          // This operation returns -EIO and does nothing.
  bool fail_reads = false;       // fail_at counts reads rather than changes.
  bool fail_persistent = false;  // All later ones of its row as well.
  bool fail_short = false;       // A write stops halfway instead, and says so.
  uint64_t crash_at = 0;         // The process ends before this operation.
  uint64_t hang_at = 0;          // This operation never returns, like that of a disk in state D.
  uint64_t sync_delay_ms = 0;    // Every fdatasync takes this much longer.

  bool any() const { return fail_at != 0 || crash_at != 0 || hang_at != 0 || sync_delay_ms != 0; }
  bool operator==(const FaultPlan&) const = default;
};

// By environment variables, "" where absent (tests/fault/README.md says how they are used):
//   PB_FAIL_IO_AT=N, then any of :reads, :persist and :short
//   PB_CRASH_AT=N    PB_HANG_IO_AT=N    PB_SLOW_SYNC_MS=N
base::Result<FaultPlan> read_fault_plan(
    const std::function<std::string(const char* name)>& environment);

// Any thread, as any Disk. Lives longer than its files.
class FaultDisk final : public Disk {
 public:
  // `crash` does not return; tests of this class may let it throw the process away as they like.
  FaultDisk(Disk* below, FaultPlan plan, std::function<void()> crash);

  uint64_t change_count() const { return changes_; }
  uint64_t read_count() const { return reads_; }

  int open(const std::string& path, OpenMode mode, std::unique_ptr<File>* file) override;
  int rename(const std::string& from, const std::string& to) override;
  int unlink(const std::string& path) override;
  int make_folder(const std::string& path) override;
  int sync_folder(const std::string& path) override;
  int list(const std::string& path, std::vector<std::string>* names) override;
  int space(const std::string& path, Space* space) override;
  int lock(const std::string& path, std::unique_ptr<Lock>* lock) override;

 private:
  friend class FaultFile;
  // Counts an operation. 0, or the errno with which it must fail; may not return at all.
  int begin_change();
  int begin_read();
  // As begin_change(); *size becomes smaller when the write must stop halfway.
  int begin_write(size_t* size);
  void begin_sync_delay() const;
  bool fails(uint64_t number) const;

  Disk* const below_;
  const FaultPlan plan_;
  const std::function<void()> crash_;
  std::atomic<uint64_t> changes_ = 0;
  std::atomic<uint64_t> reads_ = 0;
};

// The real disk; with any of the variables above in the process's environment a FaultDisk over it,
// and a warning in the log. A variable that cannot be understood makes every operation fail, so
// that no test passes for a fault that never came. Any thread.
Disk& disk_for_process();

// At the end of the process: one line in the log with the counts, when faults were asked for.
void log_disk_operations();

}  // namespace postback::journal
