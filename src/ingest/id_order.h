// Postbacks in the order of their conversion ids. Most comparisons are of the ids' first eight
// bytes, which are taken out of the postbacks once.
#pragma once

#include <cstdint>
#include <vector>

#include "ingest/postback.h"

namespace postback::ingest {

// Owner: a lane. The memory is kept for the next batch.
class IdOrder {
 public:
  void sort(std::vector<Postback*>* postbacks);

 private:
  struct Key {
    uint64_t prefix;  // Big-endian, so that it compares as the bytes do; NUL where the id is over.
    Postback* postback;
  };
  std::vector<Key> keys_;
};

}  // namespace postback::ingest
