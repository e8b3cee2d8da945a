#include "ingest/lane_table.h"

#include <algorithm>

#include "base/check.h"

namespace postback::ingest {
namespace {

// With few partners their connections are made at start, so that the first postback need not wait
// for one. With many, a connection is made when its partner is first called.
constexpr size_t kWarmPartnersMax = 16;

}  // namespace

LaneTable::LaneTable(const LaneEnvironment& environment) : environment_(environment) {
  environment_.dirty = &dirty_;
  environment_.gate = &gate_;
}

LaneTable::~LaneTable() {
  CHECK(all_closed());
}

Lane* LaneTable::find(int32_t partner_id, uint32_t slice) const {
  const auto position = lanes_.find(key_of(partner_id, slice));
  return position == lanes_.end() ? nullptr : position->second.get();
}

void LaneTable::PostbackDoor::receive(Message& message) {
  auto& postback = static_cast<Postback&>(message);
  Lane* lane = table_->find(postback.conversion.partner_id, postback.slice);
  if (lane != nullptr) {
    lane->add(postback);
    return;
  }
  // The partner was switched off while the postback was on its way.
  postback.outcome = Outcome::unavailable;
  postback.receiver = postback.origin;
  table_->environment_.courier->send(postback.origin_core, postback);
}

void LaneTable::ReadDoor::receive(Message& message) {
  auto& job = static_cast<ReadJob&>(message);
  Lane* lane = table_->find(job.partner_id, job.slice);
  if (lane != nullptr) {
    lane->read(job);
    return;
  }
  job.ok = false;
  job.error = "the partner was switched off";
  job.receiver = job.origin;
  table_->environment_.courier->send(job.origin_core, job);
}

void LaneTable::ReplayDoor::receive(Message& message) {
  auto& batch = static_cast<ReplayBatch&>(message);
  Lane* lane = table_->find(batch.partner_id, batch.slice);
  if (lane != nullptr) {
    lane->replay(batch);
    return;
  }
  batch.done = false;
  batch.receiver = batch.reply_receiver;
  batch.reply_mailbox->post(batch);
}

void LaneTable::prepare(const partner::PartnerTable& table) {
  const io::Courier& courier = *environment_.courier;
  const bool warm = table.entries().size() <= kWarmPartnersMax;
  for (const auto& entry : table.entries()) {
    const Partner& partner = entry->partner;
    if (!partner.is_active) continue;
    for (uint32_t slice = 0; slice < static_cast<uint32_t>(partner.lanes); ++slice) {
      if (home_core(partner.id, slice, courier.core_count()) != courier.own_core()) continue;
      std::unique_ptr<Lane>& lane = lanes_[key_of(partner.id, slice)];
      if (lane != nullptr && lane->serves(partner)) continue;
      if (lane != nullptr) retire(std::move(lane));
      lane = std::make_unique<Lane>(partner, slice, next_scope_++, environment_);
      if (warm) lane->warm_up();
    }
  }
}

void LaneTable::settle(const partner::PartnerTable& table) {
  absl::flat_hash_map<int32_t, const Partner*> active;
  for (const auto& entry : table.entries()) {
    if (entry->partner.is_active) active[entry->partner.id] = &entry->partner;
  }
  for (auto position = lanes_.begin(); position != lanes_.end();) {
    const Lane& lane = *position->second;
    const auto found = active.find(lane.partner().id);
    if (found != active.end() && lane.serves(*found->second)) {
      ++position;
      continue;
    }
    retire(std::move(position->second));
    lanes_.erase(position++);
  }
}

void LaneTable::retire(std::unique_ptr<Lane> lane) {
  lane->retire();
  retiring_.push_back(std::move(lane));
}

// Flushing one lane may make another one dirty: it gives it the slot that it does not need.
void LaneTable::flush() {
  while (!dirty_.empty()) {
    flushing_.swap(dirty_);
    for (Lane* lane : flushing_) lane->flush();
    flushing_.clear();
  }
}

void LaneTable::tick(uint64_t now_ns) {
  // Lanes in dirty_ are not destroyed here: a retired lane that is closed has been flushed.
  for (const auto& [key, lane] : lanes_) lane->tick(now_ns);
  for (const auto& lane : retiring_) {
    if (!lane->retired()) lane->tick(now_ns);
  }
  flush();
  std::erase_if(retiring_, [this](const auto& lane) {
    if (!lane->retired()) return false;
    past_[identity_of(*lane)].add(*lane);
    return true;
  });
}

void LaneTable::close_all() {
  for (auto& [key, lane] : lanes_) retire(std::move(lane));
  lanes_.clear();
}

bool LaneTable::all_idle() const {
  const auto idle = [](const auto& lane) { return lane->idle(); };
  return std::all_of(lanes_.begin(), lanes_.end(),
                     [&](const auto& item) { return idle(item.second); }) &&
         std::all_of(retiring_.begin(), retiring_.end(), idle);
}

void LaneTable::for_each(
    const std::function<void(const Lane&, const LaneCounters& counters)>& visit) const {
  for (const auto& [key, lane] : lanes_) {
    LaneCounters counters = lane->counters();
    const LaneIdentity identity = identity_of(*lane);
    const auto past = past_.find(identity);
    if (past != past_.end()) counters.merge(past->second.counters);
    for (const auto& retiring : retiring_) {
      const LaneIdentity other = identity_of(*retiring);
      if (!(other < identity) && !(identity < other)) counters.merge(retiring->counters());
    }
    visit(*lane, counters);
  }
}

void LaneTable::for_each_past(
    const std::function<void(const LaneIdentity&, const PastLane&)>& visit) const {
  PastLanes gone = past_;
  for (const auto& lane : retiring_) gone[identity_of(*lane)].add(*lane);
  for (const auto& [key, lane] : lanes_) gone.erase(identity_of(*lane));
  for (auto& [identity, past] : gone) {
    if (find(identity.partner_id, identity.slice) != nullptr) past.backlog = nullptr;
    visit(identity, past);
  }
}

}  // namespace postback::ingest
