// Brings the journal's records into the databases: reads them in order, sends them in batches to
// the lanes of their partners, notes in the checkpoint how far each partner is, and so lets the
// journal delete what is drained.
//
// One pass reads the journal once, for all partners whose database is up; a partner that fails, is
// stuck or cannot keep up with the others leaves the pass and takes part in a later one from where
// it was. So one slow database holds up the others only for a moment, and a hundred partners do not
// mean a hundred readings.
//
// Thread: its own; it reads the disk there. Other threads call only where it is said.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/status.h"
#include "base/time.h"
#include "ingest/backlog.h"
#include "ingest/lane.h"
#include "ingest/owner_routes.h"
#include "io/mailbox.h"
#include "journal/checkpoint.h"
#include "journal/disk.h"
#include "journal/writer.h"
#include "partner/partner_table.h"
#include "postback/loop.h"

namespace postback::ingest {

struct DrainEnvironment {
  journal::Disk* disk = nullptr;
  journal::Writer* writer = nullptr;
  std::string folder;
  Backlog* backlog = nullptr;
  const base::Clock* clock = nullptr;
  std::vector<io::Mailbox*> cores;                    // Their mailboxes, by core.
  const std::vector<LaneReceivers>* lanes = nullptr;  // By core.
};

// Fills the backlog with what an earlier process has left, before any lane is made: of the ids at
// most `ids_max`, the newest. Blocking.
base::Status load_backlog(journal::Disk* disk, const std::string& folder,
                          const journal::Writer& writer, size_t ids_max, Backlog* backlog);

class DrainPart;
struct DrainBatch;

class Drain {
 public:
  explicit Drain(DrainEnvironment environment);
  ~Drain();  // stop(), and joins. No core's thread runs any more.
  Drain(const Drain&) = delete;
  Drain& operator=(const Drain&) = delete;

  base::Status start();
  // Any thread: by which partners and lanes it sends from now on.
  void set_table(std::shared_ptr<const partner::PartnerTable> table);
  // Any thread: records that go nowhere, as of the newest table; some may have none that wait.
  std::vector<Hold> holds() const;
  // Any thread: why the orders in the journal's folder are not followed; empty: they are.
  std::string orders_error() const;
  // Any thread: sends nothing more. The lanes still have to answer what was sent.
  void stop();
  // After stop(), not on the drain's thread: every batch is back, the checkpoint is written.
  void join();

 private:
  friend class DrainPass;
  friend class DrainPart;

  // What the drain knows of a partner between passes.
  struct Progress {
    uint64_t additions_drained = 0;  // PartnerBacklog::additions() that a pass has covered.
    uint64_t retry_ns = 0;           // Not before: it failed or was too slow.
    uint64_t pause_ns = 0;  // How long it stayed away then; 0: something was drained since.
    bool is_late = false;   // It is in late_.
    uint64_t begun_ns = 0;  // When its records began to flow; 0: none do.
    uint64_t drained = 0;   // Since then.
    // Records that stand in the journal anew, behind all others, while a batch in front of them is
    // not drained: they are passed over until the checkpoint is behind them.
    std::set<journal::Position> moved;
  };

  void run();
  void work();
  void pump(uint64_t wait_ns);
  void end_late();
  std::shared_ptr<const partner::PartnerTable> table();
  void watch_orders();
  bool orders_are_new() const;
  void watch_owners(const std::shared_ptr<const partner::PartnerTable>& table);
  void tell_holds();
  // Batches are out whose records of this owner may be on their way to another partner.
  bool is_late_elsewhere(const journal::Owner& owner, int32_t partner_id) const;
  // Of a partner whose backlog has counted so many additions; whether it is away is not asked.
  bool wants_pass(const Partner& partner, uint64_t additions);
  std::unique_ptr<DrainBatch> take_batch();
  void free_batch(std::unique_ptr<DrainBatch> batch);
  // Removes drained segments with numbers below `segments_end` only.
  void commit_checkpoint(uint64_t segments_end);
  void watch_writer();
  void tell_stuck();
  bool is_final(const journal::Gap& gap);
  void note_gap(const journal::Gap& gap);
  void reading_failed(const base::Status& status);
  uint64_t now_ns() const { return environment_.clock->monotonic_ns(); }

  const DrainEnvironment environment_;
  // Made and used on the thread; destroyed after it: a core that has sent the last batch back may
  // still be about to wake the loop.
  std::unique_ptr<Loop> loop_;
  std::unique_ptr<io::Mailbox> mailbox_;
  journal::Checkpoint checkpoint_;
  bool checkpoint_dirty_ = false;
  uint64_t checkpoint_ns_ = 0;  // When it was written last.
  uint64_t read_retry_ns_ = 0;  // Not before: the journal could not be read.
  std::map<int32_t, Progress> progress_;
  OwnerRoutes routes_;
  std::vector<journal::Order> orders_;
  std::string orders_stamp_;  // Of the file that they were read from.
  uint64_t orders_looked_ns_ = 0;
  std::set<std::pair<journal::Owner, HoldReason>> holds_told_;
  std::set<std::pair<uint64_t, uint64_t>> gaps_told_;        // Segment and offset.
  std::map<std::pair<uint64_t, uint64_t>, int> unreadable_;  // How often a place was not read.
  std::optional<std::string> stuck_told_;  // The text of the file; not known at first.
  uint64_t stuck_ns_ = 0;                  // When it was looked at last.
  journal::WriterState writer_state_ = journal::WriterState::preparing;
  std::vector<std::unique_ptr<DrainPart>> late_;  // They have left; batches are with their lanes.
  size_t taking_part_ = 0;                        // Parts of the pass that have not left.
  size_t pass_count_ = 0;
  std::vector<std::unique_ptr<DrainBatch>> batches_free_;
  size_t batch_count_ = 0;  // Others than these.

  std::atomic<bool> stopping_{false};
  mutable std::mutex mutex_;
  std::vector<Hold> holds_;  // Under mutex_, as is what follows.
  std::string orders_error_;
  std::shared_ptr<const partner::PartnerTable> table_;  // Under mutex_.
  std::thread thread_;
};

}  // namespace postback::ingest
