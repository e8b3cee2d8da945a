#include "ingest/backlog.h"

#include <algorithm>

#include "ingest/limits.h"

namespace postback::ingest {

void PartnerBacklog::add(uint64_t count, int64_t received_at_us) {
  additions_.fetch_add(1, std::memory_order_relaxed);
  if (count == 0) return;
  if (waiting_.fetch_add(count, std::memory_order_relaxed) == 0) set_oldest(received_at_us);
}

void PartnerBacklog::remove(uint64_t count) {
  uint64_t waiting = waiting_.load(std::memory_order_relaxed);
  uint64_t known = std::min(count, waiting);
  while (!waiting_.compare_exchange_weak(waiting, waiting - known, std::memory_order_relaxed)) {
    known = std::min(count, waiting);
  }
  if (known < count) recovered_.fetch_add(count - known, std::memory_order_relaxed);
}

// Of another partner the records are, here, as found at a start: nobody sent them to this one.
void PartnerBacklog::claim(PartnerBacklog* from, bool is_same_partner) {
  const int64_t oldest_us = from->oldest_us();
  const uint64_t count = from->waiting_.exchange(0, std::memory_order_relaxed);
  const uint64_t recovered =
      is_same_partner ? from->recovered_.exchange(0, std::memory_order_relaxed) : count;
  recovered_.fetch_add(recovered, std::memory_order_relaxed);
  const auto move = [](std::atomic<uint64_t>* to, std::atomic<uint64_t>* value) {
    to->fetch_add(value->exchange(0, std::memory_order_relaxed), std::memory_order_relaxed);
  };
  if (is_same_partner) {
    move(&drained_.stored, &from->drained_.stored);
    move(&drained_.duplicate, &from->drained_.duplicate);
    move(&drained_.quarantined, &from->drained_.quarantined);
    move(&discarded_, &from->discarded_);
  }
  add(count, oldest_us);
}

void PartnerBacklog::discard(uint64_t count) {
  uint64_t waiting = waiting_.load(std::memory_order_relaxed);
  uint64_t gone = std::min(count, waiting);
  while (!waiting_.compare_exchange_weak(waiting, waiting - gone, std::memory_order_relaxed)) {
    gone = std::min(count, waiting);
  }
  discarded_.fetch_add(gone, std::memory_order_relaxed);
}

bool PartnerBacklog::settle(int64_t row_id) {
  const std::lock_guard lock(mutex_);
  if (settled_.size() >= kSettledRowsMax) return false;
  settled_.insert(row_id);
  settled_count_.store(settled_.size(), std::memory_order_relaxed);
  return true;
}

bool PartnerBacklog::can_settle(size_t count) const {
  return settled_count_.load(std::memory_order_relaxed) + count <= kSettledRowsMax;
}

bool PartnerBacklog::is_settled(int64_t row_id) const {
  if (settled_count_.load(std::memory_order_relaxed) == 0) return false;
  const std::lock_guard lock(mutex_);
  return settled_.contains(row_id);
}

void PartnerBacklog::forget_settled(const std::vector<int64_t>& row_ids) {
  if (row_ids.empty()) return;
  const std::lock_guard lock(mutex_);
  for (const int64_t row_id : row_ids) settled_.erase(row_id);
  settled_count_.store(settled_.size(), std::memory_order_relaxed);
}

void PartnerBacklog::forget_all_settled() {
  if (settled_count_.load(std::memory_order_relaxed) == 0) return;
  const std::lock_guard lock(mutex_);
  settled_.clear();
  settled_count_.store(0, std::memory_order_relaxed);
}

std::shared_ptr<const IdList> PartnerBacklog::recovered_ids() const {
  const std::lock_guard lock(mutex_);
  return recovered_ids_;
}

void PartnerBacklog::set_recovered(uint64_t count, int64_t oldest_us,
                                   std::shared_ptr<const IdList> ids) {
  recovered_.store(count, std::memory_order_relaxed);
  add(count, oldest_us);
  const std::lock_guard lock(mutex_);
  recovered_ids_ = std::move(ids);
}

void PartnerBacklog::forget_recovered_ids() {
  const std::lock_guard lock(mutex_);
  recovered_ids_.reset();
  forgotten_.clear();
}

void PartnerBacklog::forget_recovered_id(std::string_view id) {
  const std::lock_guard lock(mutex_);
  if (recovered_ids_ != nullptr) forgotten_.insert(std::string(id));
}

bool PartnerBacklog::is_recovered_id_forgotten(std::string_view id) const {
  const std::lock_guard lock(mutex_);
  return !forgotten_.empty() && forgotten_.contains(std::string(id));
}

PartnerBacklog& Backlog::of(const journal::Owner& owner) {
  const std::lock_guard lock(mutex_);
  std::unique_ptr<PartnerBacklog>& backlog = owners_[owner];
  if (backlog == nullptr) backlog = std::make_unique<PartnerBacklog>();
  owner_count_.store(owners_.size(), std::memory_order_relaxed);
  return *backlog;
}

uint64_t Backlog::waiting() const {
  uint64_t waiting = 0;
  for_each(
      [&](const journal::Owner&, const PartnerBacklog& counts) { waiting += counts.waiting(); });
  return waiting;
}

void Backlog::for_each(
    const std::function<void(const journal::Owner&, const PartnerBacklog&)>& visit) const {
  const std::lock_guard lock(mutex_);
  for (const auto& [owner, counts] : owners_) visit(owner, *counts);
}

void Backlog::for_each_owner(
    const std::function<void(const journal::Owner&, PartnerBacklog&)>& visit) {
  const std::lock_guard lock(mutex_);
  for (const auto& [owner, counts] : owners_) visit(owner, *counts);
}

}  // namespace postback::ingest
