// The ids that are durable, as far as memory reaches: one set per core, shared by its lanes. An id
// in the set is in the database, whose unique index is the truth; an id that is not in the set
// may be in the database all the same, because the set is bounded and forgets.
//
// Holds the ids themselves, not only hashes: a collision must not swallow a conversion. Two
// generations: when the young one has half of the bound, the old one is forgotten whole and the
// young one becomes the old. So the set remembers at least the last half, at most the bound, and
// forgetting is freeing a few large blocks. Each generation is cut into shards by hash, so that the
// growth of one table (a rehash) never stops the core for long.
//
// Thread: its core's. Errors: none; an id that does not fit is forgotten earlier.
#pragma once

#include <absl/container/flat_hash_set.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace postback::ingest {

class DedupeSet {
 public:
  // `ids_max` at least 2.
  explicit DedupeSet(size_t ids_max);
  ~DedupeSet();
  DedupeSet(const DedupeSet&) = delete;
  DedupeSet& operator=(const DedupeSet&) = delete;

  // `scope` keeps the ids of different lanes apart; `id` has at most 255 bytes.
  // `hash`: that of both, when it is known already.
  static uint64_t hash_of(uint32_t scope, std::string_view id);
  bool contains(uint32_t scope, std::string_view id, uint64_t hash) const;
  bool contains(uint32_t scope, std::string_view id) const {
    return contains(scope, id, hash_of(scope, id));
  }
  void add(uint32_t scope, std::string_view id, uint64_t hash);
  void add(uint32_t scope, std::string_view id) { add(scope, id, hash_of(scope, id)); }

  // The id is new again. Its record stays in the generation's blocks until that is forgotten.
  void remove(uint32_t scope, std::string_view id);
  // A scope that no lane was given at its start: those count up from 1.
  uint32_t new_scope() { return next_scope_--; }

  size_t size() const;
  size_t memory_bytes() const;  // Tables and id text.

 private:
  struct Key {
    uint64_t hash;
    uint32_t scope;
    std::string_view id;
  };
  // An entry is a pointer to its record in a generation's blocks: scope (4 bytes), size (1 byte),
  // the id. Its hash is computed again when a table grows: cheaper than 8 bytes more for every id.
  struct RecordHash {
    using is_transparent = void;
    size_t operator()(const char* record) const;
    size_t operator()(const Key& key) const { return key.hash; }
  };
  struct RecordEqual {
    using is_transparent = void;
    bool operator()(const char* a, const char* b) const;
    bool operator()(const char* record, const Key& key) const;
    bool operator()(const Key& key, const char* record) const { return (*this)(record, key); }
  };
  using Shard = absl::flat_hash_set<const char*, RecordHash, RecordEqual>;
  struct Generation;

  void rotate();

  uint32_t next_scope_ = UINT32_MAX;
  size_t generation_ids_max_;
  std::unique_ptr<Generation> young_;
  std::unique_ptr<Generation> old_;
};

}  // namespace postback::ingest
