#include "ingest/dedupe_set.h"

#include <absl/hash/hash.h>

#include <array>
#include <cstring>

#include "base/check.h"

namespace postback::ingest {
namespace {

// 64 shards: a table of 10 million ids grows in steps of at most 160 thousand entries, some 3 ms.
constexpr size_t kShardBits = 6;
constexpr size_t kShards = size_t{1} << kShardBits;
constexpr size_t kBlockBytes = 256 * 1024;
constexpr size_t kRecordHeadBytes = sizeof(uint32_t) + 1;
constexpr size_t kIdBytesMax = 255;

uint32_t record_scope(const char* record) {
  uint32_t scope = 0;
  std::memcpy(&scope, record, sizeof scope);
  return scope;
}

std::string_view record_id(const char* record) {
  return {record + kRecordHeadBytes, static_cast<unsigned char>(record[sizeof(uint32_t)])};
}

// The table inside a shard uses the low bits of the hash, the choice of the shard the high ones.
size_t shard_of(uint64_t hash) {
  return hash >> (64 - kShardBits);
}

}  // namespace

struct DedupeSet::Generation {
  std::array<Shard, kShards> shards;
  std::vector<std::unique_ptr<char[]>> blocks;
  size_t block_used = kBlockBytes;
  size_t count = 0;

  const char* keep(uint32_t scope, std::string_view id) {
    const size_t size = kRecordHeadBytes + id.size();
    if (block_used + size > kBlockBytes) {
      blocks.push_back(std::make_unique_for_overwrite<char[]>(kBlockBytes));
      block_used = 0;
    }
    char* record = blocks.back().get() + block_used;
    block_used += size;
    std::memcpy(record, &scope, sizeof scope);
    record[sizeof scope] = static_cast<char>(static_cast<unsigned char>(id.size()));
    std::memcpy(record + kRecordHeadBytes, id.data(), id.size());
    return record;
  }
};

size_t DedupeSet::RecordHash::operator()(const char* record) const {
  return hash_of(record_scope(record), record_id(record));
}

bool DedupeSet::RecordEqual::operator()(const char* a, const char* b) const {
  return record_scope(a) == record_scope(b) && record_id(a) == record_id(b);
}

bool DedupeSet::RecordEqual::operator()(const char* record, const Key& key) const {
  return record_scope(record) == key.scope && record_id(record) == key.id;
}

DedupeSet::DedupeSet(size_t ids_max)
    : generation_ids_max_(ids_max / 2),
      young_(std::make_unique<Generation>()),
      old_(std::make_unique<Generation>()) {
  CHECK(generation_ids_max_ > 0);
}

DedupeSet::~DedupeSet() = default;

uint64_t DedupeSet::hash_of(uint32_t scope, std::string_view id) {
  return absl::HashOf(scope, id);
}

bool DedupeSet::contains(uint32_t scope, std::string_view id, uint64_t hash) const {
  const Key key = {hash, scope, id};
  const size_t shard = shard_of(key.hash);
  return young_->shards[shard].contains(key) || old_->shards[shard].contains(key);
}

void DedupeSet::add(uint32_t scope, std::string_view id, uint64_t hash) {
  CHECK(id.size() <= kIdBytesMax);
  const Key key = {hash, scope, id};
  Shard& shard = young_->shards[shard_of(key.hash)];
  // One search for both questions, with the hash that is known already.
  shard.lazy_emplace(key, [&](const Shard::constructor& construct) {
    construct(young_->keep(scope, id));
    ++young_->count;
  });
  if (young_->count >= generation_ids_max_) rotate();
}

void DedupeSet::remove(uint32_t scope, std::string_view id) {
  const Key key = {hash_of(scope, id), scope, id};
  for (Generation* generation : {young_.get(), old_.get()}) {
    Shard& shard = generation->shards[shard_of(key.hash)];
    const auto place = shard.find(key);
    if (place == shard.end()) continue;
    shard.erase(place);
    --generation->count;
  }
}

void DedupeSet::rotate() {
  old_ = std::move(young_);
  young_ = std::make_unique<Generation>();
}

size_t DedupeSet::size() const {
  return young_->count + old_->count;
}

size_t DedupeSet::memory_bytes() const {
  size_t bytes = 0;
  for (const Generation* generation : {young_.get(), old_.get()}) {
    bytes += sizeof(Generation) + generation->blocks.size() * kBlockBytes;
    // One control byte beside each slot.
    for (const Shard& shard : generation->shards)
      bytes += shard.capacity() * (sizeof(const char*) + 1);
  }
  return bytes;
}

}  // namespace postback::ingest
