#include "ingest/id_order.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <string_view>

namespace postback::ingest {
namespace {

std::string_view id_of(const Postback& postback) {
  return postback.conversion.text(Field::conversion_id);
}

uint64_t prefix_of(std::string_view id) {
  static_assert(std::endian::native == std::endian::little);
  uint64_t prefix = 0;
  if (id.size() >= sizeof prefix) {
    std::memcpy(&prefix, id.data(), sizeof prefix);
  } else if (!id.empty()) {
    std::memcpy(&prefix, id.data(), id.size());
  }
  return __builtin_bswap64(prefix);
}

}  // namespace

void IdOrder::sort(std::vector<Postback*>* postbacks) {
  keys_.clear();
  for (Postback* postback : *postbacks) keys_.push_back({prefix_of(id_of(*postback)), postback});
  std::sort(keys_.begin(), keys_.end(), [](const Key& a, const Key& b) {
    if (a.prefix != b.prefix) return a.prefix < b.prefix;
    return id_of(*a.postback) < id_of(*b.postback);
  });
  for (size_t i = 0; i < keys_.size(); ++i) (*postbacks)[i] = keys_[i].postback;
}

}  // namespace postback::ingest
