// The process's journal: opened before anything is served, or left out with a reason. Owns the
// writer, the backlog and the drain, in the order in which they end.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/settings.h"
#include "base/status.h"
#include "base/time.h"
#include "ingest/backlog.h"
#include "ingest/drain.h"
#include "journal/disk.h"
#include "journal/writer.h"

namespace postback::server {

// Records that go nowhere until somebody sees to it; see ingest/owner_routes.h.
struct HeldRecords {
  journal::Owner owner;
  const char* reason = "";
  uint64_t records = 0;
};

// For /health, /info and /metrics.
struct JournalReport {
  bool is_on = false;
  std::string state;        // "off", "preparing", "ready", "refusing", "failed".
  std::string reason;       // Why it is on or off.
  std::string error;        // Why it takes nothing, or the last failure.
  std::string space_error;  // The disk is nearly full; empty: it is not.
  bool damaged = false;     // Acknowledged records were found to be lost at the start.
  uint64_t failed_frames = 0;
  uint64_t segments = 0;  // That wait to be drained, beside the one being written.
  uint64_t waiting = 0;   // Records, of all partners.
  int64_t oldest_us = 0;  // When the oldest was received; 0: none waits.
  std::vector<HeldRecords> held;
  uint64_t held_records = 0;
  std::string orders_error;  // Why what was ordered about them is not done; empty: it is.
};

class JournalService {
 public:
  // Blocks as long as reading the journal takes. An error: JOURNAL=on and it cannot be had; or
  // there is one that must not be ignored (locked by another process, of a later version, a disk
  // that does not read).
  base::Status open(const base::Settings& settings, const base::Clock* clock);
  // Before the first table; the cores receive.
  base::Status start_drain(std::vector<io::Mailbox*> cores,
                           const std::vector<ingest::LaneReceivers>* lanes);
  // Until appends are written at once or refused; false: not within the time. True without a
  // journal.
  bool wait_until_prepared(uint64_t limit_ns) const;
  // Any thread.
  void set_table(std::shared_ptr<const partner::PartnerTable> table);
  void stop_drain();  // Nothing more is sent.
  void join_drain();  // The lanes have answered everything.
  // No core's thread runs any more; their mailboxes are still there. Waits as long as the disk
  // does.
  void close();

  journal::Writer* writer() const { return writer_.get(); }  // May be nullptr.
  ingest::Backlog* backlog() { return writer_ == nullptr ? nullptr : &backlog_; }  // Likewise.
  size_t spill_bytes_max() const { return spill_bytes_max_; }
  JournalReport report() const;  // Any thread.

 private:
  void log_recovery() const;

  journal::Disk* disk_ = nullptr;
  const base::Clock* clock_ = nullptr;
  std::string folder_;
  std::string reason_;
  size_t spill_bytes_max_ = 0;
  ingest::Backlog backlog_;
  std::unique_ptr<journal::Writer> writer_;
  std::unique_ptr<ingest::Drain> drain_;
};

}  // namespace postback::server
