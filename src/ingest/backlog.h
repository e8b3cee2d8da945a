// What the journal holds that is not in the databases yet, counted by whose it is (by the mark of
// its records, see journal/owner.h): lanes add to it, the
// drain takes away. The counts are for people and for the drain's decisions; which records wait is
// told by the journal itself and its checkpoint.
//
// Thread: any, where nothing else is said. Counts are relaxed atomics; the locks are held for a
// look-up, and never on the way of a postback while its database answers in time.
#pragma once

#include <absl/container/flat_hash_set.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "ingest/stuck.h"
#include "journal/owner.h"

namespace postback::ingest {

// Conversion ids that an earlier process acknowledged from the journal and did not drain.
class IdList {
 public:
  // `id` has at most 255 bytes.
  void add(std::string_view id) {
    bytes_.push_back(static_cast<char>(id.size()));
    bytes_.append(id);
  }
  void add_all(const IdList& other) { bytes_.append(other.bytes_); }
  template <typename Visit>
  void for_each(Visit visit) const {
    for (size_t at = 0; at < bytes_.size();) {
      const size_t size = static_cast<unsigned char>(bytes_[at]);
      visit(std::string_view(bytes_).substr(at + 1, size));
      at += 1 + size;
    }
  }

 private:
  std::string bytes_;  // Each id behind one byte that tells its size.
};

class PartnerBacklog {
 public:
  // `count` records became durable in the journal, perhaps none of them unsettled; the oldest was
  // received at `received_at_us`.
  void add(uint64_t count, int64_t received_at_us);
  // `count` records are in the database, or were found to be there already. More than were added
  // count as recovered: a frame whose sync failed may be whole on the disk all the same.
  void remove(uint64_t count);
  // Takes over what the other one counts: its records go to this one's partner, which is the same
  // partner under another mark, or another to which somebody has assigned them.
  void claim(PartnerBacklog* from, bool is_same_partner);
  // `count` records at most were given up by hand.
  void discard(uint64_t count);
  uint64_t discarded() const { return discarded_.load(std::memory_order_relaxed); }
  // The drain has come to a record that was received then.
  void set_oldest(int64_t received_at_us) {
    oldest_us_.store(received_at_us, std::memory_order_relaxed);
  }
  uint64_t waiting() const { return waiting_.load(std::memory_order_relaxed); }
  // When the oldest that waits was received; 0 when none waits. Exact to one replayed batch.
  int64_t oldest_us() const {
    return waiting() == 0 ? 0 : oldest_us_.load(std::memory_order_relaxed);
  }

  // Grows with each add(): tells the drain that there is something new.
  uint64_t additions() const { return additions_.load(std::memory_order_relaxed); }

  // Lanes of the partner that cannot take replayed records now. What a lane added before it was
  // back is seen by who sees that it is.
  void lane_away() { lanes_away_.fetch_add(1, std::memory_order_relaxed); }
  void lane_back() { lanes_away_.fetch_sub(1, std::memory_order_release); }
  bool is_away() const { return lanes_away_.load(std::memory_order_acquire) > 0; }

  // A record in the journal whose row (by its id) the database has confirmed already, before the
  // drain came to it: the drain passes over it. False, and not remembered, at the bound.
  [[nodiscard]] bool settle(int64_t row_id);
  // Whether `count` more could be remembered.
  bool can_settle(size_t count) const;
  bool is_settled(int64_t row_id) const;
  void forget_settled(const std::vector<int64_t>& row_ids);
  // The database may have lost them: the drain replays their records.
  void forget_all_settled();

  // What became of records that were drained.
  struct Drained {
    std::atomic<uint64_t> stored{0};
    std::atomic<uint64_t> duplicate{0};
    std::atomic<uint64_t> quarantined{0};
  };
  Drained& drained() { return drained_; }
  const Drained& drained() const { return drained_; }

  // Records found at the start.
  uint64_t recovered() const { return recovered_.load(std::memory_order_relaxed); }
  // nullptr once they are drained: then the database knows them.
  std::shared_ptr<const IdList> recovered_ids() const;
  void set_recovered(uint64_t count, int64_t oldest_us, std::shared_ptr<const IdList> ids);
  void forget_recovered_ids();
  // An id that is no conversion after all: its row went to the quarantine.
  void forget_recovered_id(std::string_view id);
  bool is_recovered_id_forgotten(std::string_view id) const;

  // Why records do not get into the database, as the partner's lanes tell it.
  StuckLanes& stuck() { return stuck_; }
  const StuckLanes& stuck() const { return stuck_; }

  // How many rows a lane of the partner puts into a batch now: a replayed one need not be larger.
  void set_batch_rows(size_t count) { batch_rows_.store(count, std::memory_order_relaxed); }
  size_t batch_rows() const { return batch_rows_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> waiting_{0};
  std::atomic<uint64_t> additions_{0};
  std::atomic<int64_t> oldest_us_{0};
  std::atomic<int32_t> lanes_away_{0};
  std::atomic<uint64_t> recovered_{0};
  std::atomic<uint64_t> discarded_{0};
  std::atomic<size_t> settled_count_{0};
  std::atomic<size_t> batch_rows_{SIZE_MAX};
  Drained drained_;
  StuckLanes stuck_;
  mutable std::mutex mutex_;
  absl::flat_hash_set<int64_t> settled_;         // Under mutex_.
  std::shared_ptr<const IdList> recovered_ids_;  // Under mutex_.
  absl::flat_hash_set<std::string> forgotten_;   // Under mutex_; of recovered_ids_.
};

class Backlog {
 public:
  // Made when first asked for; lives as long as the backlog.
  PartnerBacklog& of(const journal::Owner& owner);
  size_t owner_count() const { return owner_count_.load(std::memory_order_relaxed); }
  // Records that wait, of all partners.
  uint64_t waiting() const;
  // Some lane has given live postbacks to its database: replays leave room for all of them, whose
  // databases, disk and CPUs may be the same. Monotonic times of the loops, exact to kLiveStepNs.
  void note_live(uint64_t now_ns) {
    if (now_ns > live_ns_.load(std::memory_order_relaxed) + kLiveStepNs) {
      live_ns_.store(now_ns, std::memory_order_relaxed);
    }
  }
  bool is_live(uint64_t now_ns) const {
    return now_ns < live_ns_.load(std::memory_order_relaxed) + kLiveNs;
  }

  // In the order of owners; some that never had a record may be among them.
  void for_each(
      const std::function<void(const journal::Owner&, const PartnerBacklog&)>& visit) const;
  void for_each_owner(const std::function<void(const journal::Owner&, PartnerBacklog&)>& visit);

 private:
  static constexpr uint64_t kLiveStepNs = 20'000'000;
  static constexpr uint64_t kLiveNs = 200'000'000;

  std::atomic<uint64_t> live_ns_{0};
  mutable std::mutex mutex_;
  std::map<journal::Owner, std::unique_ptr<PartnerBacklog>> owners_;
  std::atomic<size_t> owner_count_{0};
};

}  // namespace postback::ingest
