// From a request's path to what answers it. A pure function: paths are compared byte for byte,
// nothing is decoded or normalised, so there is exactly one spelling of every endpoint.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "partner/partner_table.h"

namespace postback::server {

enum class RouteKind : uint8_t {
  postback,
  stats,
  conversions,
  health,
  readyz,
  info,
  metrics,
  unknown_partner,  // Below /partner/, but no active partner has it.
  not_found,
};

struct Route {
  RouteKind kind = RouteKind::not_found;
  const partner::PartnerEntry* partner = nullptr;  // postback, stats, conversions.
};

// `table` may be nullptr: no partner is known yet.
Route route(const partner::PartnerTable* table, std::string_view path);

// The same for a core, which is asked for few paths again and again: those of postbacks are
// remembered, until another table is routed by. Thread: the core's.
class RememberedRoutes {
 public:
  Route find(const partner::PartnerTable* table, std::string_view path) {
    const Slot& slot = slot_of(path);
    if (slot.route.kind == RouteKind::postback && slot.path == path) return slot.route;
    return find_anew(table, path);
  }
  // Before find() is called with another table, or with none.
  void forget();

 private:
  static constexpr size_t kSlots = 64;
  struct Slot {
    std::string path;
    Route route;  // Of no other kind than postback; not_found: the slot is free.
  };
  Slot& slot_of(std::string_view path) {
    const auto byte = [path](size_t i) { return static_cast<unsigned char>(path[i]); };
    if (path.empty()) return slots_[0];
    // Below /partner/, paths differ in their middle and at their ends.
    return slots_[(path.size() + 31u * byte(path.size() / 2) + 7u * byte(path.size() - 1)) %
                  kSlots];
  }
  Route find_anew(const partner::PartnerTable* table, std::string_view path);

  std::array<Slot, kSlots> slots_;
};

}  // namespace postback::server
