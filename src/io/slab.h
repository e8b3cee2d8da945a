// A table of slots named by {index, generation}. Slots are reused last in, first out, so the ones
// in use stay in cache; the table grows by doubling and never shrinks. One thread.
//
// Lifetime: add() may move every slot, so a reference to one is good until the next add() only.
// A handle dies with remove(): the generation moves on, and find() no longer knows it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/check.h"

namespace postback::io {

template <typename Slot>
class Slab {
 public:
  // Indexes are below 2^28: the io_uring loop packs them into 28 bits.
  static constexpr uint32_t kSlotsMax = uint32_t{1} << 28;

  explicit Slab(size_t slots_first) { entries_.reserve(slots_first); }

  // Returns the index of a slot that holds a default value.
  uint32_t add() {
    uint32_t index = free_head_;
    if (index != kNone) {
      free_head_ = entries_[index].free_next;
    } else {
      CHECK(entries_.size() < kSlotsMax);
      index = static_cast<uint32_t>(entries_.size());
      entries_.emplace_back();
    }
    entries_[index].slot = Slot{};
    entries_[index].used = true;
    ++count_;
    return index;
  }

  void remove(uint32_t index) {
    Entry& entry = entries_[index];
    CHECK(entry.used);
    entry.used = false;
    ++entry.generation;
    entry.free_next = free_head_;
    free_head_ = index;
    --count_;
  }

  // Null for a handle that is stale or was never given out.
  Slot* find(uint32_t index, uint32_t generation) {
    if (index >= entries_.size()) return nullptr;
    Entry& entry = entries_[index];
    return entry.used && entry.generation == generation ? &entry.slot : nullptr;
  }

  // `index` must be in use.
  Slot& operator[](uint32_t index) { return entries_[index].slot; }
  uint32_t generation(uint32_t index) const { return entries_[index].generation; }
  size_t count() const { return count_; }

  template <typename Visit>
  void for_each(Visit visit) {
    for (Entry& entry : entries_) {
      if (entry.used) visit(entry.slot);
    }
  }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;

  struct Entry {
    Slot slot;
    uint32_t generation = 0;
    uint32_t free_next = kNone;
    bool used = false;
  };

  std::vector<Entry> entries_;
  uint32_t free_head_ = kNone;
  size_t count_ = 0;
};

}  // namespace postback::io
