// What a lane remembers of the ids that are durable in its database, and whether that may be
// believed now. A database can lose rows behind the lane's back: it is restored from a backup, made
// anew, or replaced by a standby that was behind. So memory is believed only
//
//   - while the database was met (a batch committed) within the last kTrustNs, and
//   - since the connection was made, or that time had lapsed, a sample of the newest ids that
//   memory
//     calls durable was looked up there and found, or
//   - while the database is away, so that nobody can be asked, or
//   - while nothing was committed yet: then memory holds only what the journal has.
//
// Otherwise ids go to the database, whose unique index decides; the batch carries the sample. A
// sample that is not found whole, or a store that tells of another database, makes the lane forget.
//
// What the journal has is durable whatever the database lost: until the partner's records are
// drained, ids that were accepted there stay known, under a scope of their own.
//
// Owner: the lane. Thread: its core's.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "ingest/dedupe_set.h"
#include "postback/store.h"

namespace postback::ingest {

class LaneMemory {
 public:
  // Longer than repeats wait to be filed (kCountsDelayNs), which is a commit: a lane that gets
  // nothing but repeats goes on believing.
  static constexpr uint64_t kTrustNs = 2'500'000'000;

  // `scope`: of no other lane of this core, past or present.
  LaneMemory(DedupeSet* set, uint32_t scope)
      : set_(set), scope_(scope), journal_scope_(set->new_scope()) {}

  uint64_t hash_of(std::string_view id) const { return DedupeSet::hash_of(scope_, id); }
  // Whether the id is durable, as far as memory may be believed. `hash`: hash_of(id).
  bool knows(std::string_view id, uint64_t hash) const {
    return (is_believed_ && set_->contains(scope_, id, hash)) ||
           (has_journaled_ && set_->contains(journal_scope_, id));
  }
  void add(std::string_view id, uint64_t hash) { set_->add(scope_, id, hash); }
  void add(std::string_view id) { add(id, hash_of(id)); }
  // The id's record is in the journal.
  void add_journaled(std::string_view id) {
    add(id);
    set_->add(journal_scope_, id);
    has_journaled_ = true;
  }
  bool has_journaled() const { return has_journaled_; }
  // No record of the partner waits any more: the database has what the journal had.
  void journal_drained() {
    if (std::exchange(has_journaled_, false)) journal_scope_ = set_->new_scope();
  }
  // The id is new again.
  void remove(std::string_view id) {
    set_->remove(scope_, id);
    if (has_journaled_) set_->remove(journal_scope_, id);
  }
  bool is_believed() const { return is_believed_; }

  // After each change of the store. True: what is remembered counts no more, see forget().
  [[nodiscard]] bool store_changed(const StoreStatus& status);
  void tick(uint64_t now_ns);
  // For each batch that goes to the store: adds the sample where it is due.
  void ask(Batch* batch);
  // For each batch that comes back, before its ids are added. True: ids of the sample are not in
  // the database, see forget().
  [[nodiscard]] bool answered(const Batch& batch);
  // The batch was committed; `newest_id`: one of its ids, or empty. Remembered for the sample.
  void note_committed(std::string_view newest_id, uint64_t now_ns);
  // Forgets all ids but the journal's at once: hashes that were worked out before mean nothing any
  // more.
  void forget();

 private:
  // Each stands for a batch: what a failover or a restore takes away are the newest batches.
  static constexpr size_t kSampleMax = 16;

  void judge();

  DedupeSet* const set_;
  uint32_t scope_;
  uint32_t journal_scope_;
  bool has_journaled_ = false;  // Ids are under journal_scope_.
  bool is_believed_ = true;

  StoreState store_ = StoreState::idle;
  uint32_t openings_ = 0;          // As seen last.
  uint32_t identity_changes_ = 0;  // As seen last.
  bool is_verified_ = true;        // The sample was found since the connection was made.
  bool is_asking_ = false;         // A batch with the sample is with the store.
  bool is_fresh_ = false;          // The last commit is younger than kTrustNs.
  uint64_t committed_ns_ = 0;
  std::array<std::string, kSampleMax> sample_;
  size_t sample_count_ = 0;
  size_t sample_next_ = 0;
};

}  // namespace postback::ingest
