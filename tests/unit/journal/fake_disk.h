// A disk in memory that fails where a test wants it to and forgets what was not synced when the
// power is cut. It behaves as Linux does where that is unpleasant: a failed fdatasync leaves the
// data readable, calls the pages clean, and the next one returns 0 although the data would not
// survive.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "journal/disk.h"

namespace postback::journal {

class FakeDisk final : public Disk {
 public:
  enum class Fault : uint8_t {
    error,        // -EIO
    no_space,     // -ENOSPC
    short_write,  // Half of a write; other operations fail with -EIO.
    power_cut,    // This operation and all later ones fail; then reboot().
  };

  FakeDisk() = default;
  // Fails operation number `at` (from 1 on), and, if `persistent`, all later ones.
  void fail_at(uint64_t at, Fault fault, bool persistent);
  void fail_never() { fail_at(0, Fault::error, false); }
  // By what it is rather than by number: the next write or sync of a segment with its final name
  // fails (once), or no new file can be made (until told otherwise).
  void fail_next_frame_write(Fault fault);
  void fail_next_frame_sync();
  // The process dies at the next sync of a frame: it fails, and everything behind it, and what was
  // written stays in the kernel's memory. fail_never() begins the next process.
  void die_at_next_frame_sync();
  void fail_new_files(bool fail);
  uint64_t operation_count() const;
  // What is left after a power cut: of writes and names that were not synced a random part, in
  // blocks of 512 bytes and in any order for data, a prefix for the names of a folder.
  void reboot(uint64_t seed);

  void set_space(Space space);
  void replace_folder();  // Held locks are no longer in place.
  // A fdatasync of a file whose fdatasync failed before: what must never happen.
  uint64_t syncs_after_failure() const;
  uint64_t writes_after_failure() const;
  // More than one unsynced write to a file that has its final name: two frames in flight.
  uint64_t overlapping_frames() const;

  std::string content(const std::string& path) const;
  void set_content(const std::string& path, const std::string& bytes);  // Durable at once.
  bool exists(const std::string& path) const;

  int open(const std::string& path, OpenMode mode, std::unique_ptr<File>* file) override;
  int rename(const std::string& from, const std::string& to) override;
  int unlink(const std::string& path) override;
  int make_folder(const std::string&) override { return 0; }
  int sync_folder(const std::string& path) override;
  int list(const std::string& path, std::vector<std::string>* names) override;
  int space(const std::string& path, Space* space) override;
  int lock(const std::string& path, std::unique_ptr<Lock>* lock) override;

 private:
  friend class FakeFile;
  friend class FakeLock;
  struct Write {
    uint64_t offset;
    std::string bytes;
  };
  struct Node {
    std::string content;          // As the kernel shows it.
    std::string durable;          // As the platter has it.
    std::vector<Write> unsynced;  // Since the last sync; a failed sync forgets them.
    bool sync_failed = false;
    bool final_name = false;  // A segment that was renamed: only frames are written to it.
  };
  using Names = std::map<std::string, std::shared_ptr<Node>>;

  // 0, or the errno with which the operation that begins now must fail.
  int begin(Fault* fault = nullptr);
  void apply(std::string* content, const Write& write);

  mutable std::mutex mutex_;
  Names names_;
  std::vector<Names> name_history_;  // After each unsynced change; the first is the durable one.
  uint64_t operations_ = 0;
  uint64_t fail_at_ = 0;
  Fault fault_ = Fault::error;
  bool persistent_ = false;
  bool frame_write_fails_ = false;
  Fault frame_write_fault_ = Fault::error;
  bool frame_sync_fails_ = false;
  bool frame_sync_dies_ = false;
  bool new_files_fail_ = false;
  uint64_t syncs_after_failure_ = 0;
  uint64_t writes_after_failure_ = 0;
  uint64_t overlapping_frames_ = 0;
  Space space_{1ull << 40, 1ull << 40};
  uint64_t folder_generation_ = 0;
  std::set<std::string> locked_;
};

}  // namespace postback::journal
