// What the lanes counted that are gone: replaced, of a slice that is no longer wanted, or of a
// partner that was switched off. A counter never goes back, and what was received stays accounted
// for. One entry per partner and slice that the process ever served here. Thread: its core's.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tuple>

#include "ingest/lane.h"

namespace postback::ingest {

// The lanes that took each other's place share one.
struct LaneIdentity {
  int32_t partner_id = 0;
  uint32_t slice = 0;
  std::string partner_code;
  bool operator<(const LaneIdentity& other) const {
    return std::tie(partner_id, slice, partner_code) <
           std::tie(other.partner_id, other.slice, other.partner_code);
  }
};

inline LaneIdentity identity_of(const Lane& lane) {
  return {lane.partner().id, lane.slice(), lane.partner().partner_code};
}

struct PastLane {
  LaneCounters counters;
  const PartnerBacklog* backlog = nullptr;  // Of its partner; nullptr: no journal.

  void add(const Lane& lane) {
    counters.merge(lane.counters());
    backlog = lane.backlog();
  }
};

using PastLanes = std::map<LaneIdentity, PastLane>;

}  // namespace postback::ingest
