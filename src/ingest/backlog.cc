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

PartnerBacklog& Backlog::of(int32_t partner_id) {
  const std::lock_guard lock(mutex_);
  std::unique_ptr<PartnerBacklog>& partner = partners_[partner_id];
  if (partner == nullptr) partner = std::make_unique<PartnerBacklog>();
  return *partner;
}

uint64_t Backlog::waiting() const {
  uint64_t waiting = 0;
  for_each([&](int32_t, const PartnerBacklog& partner) { waiting += partner.waiting(); });
  return waiting;
}

void Backlog::for_each(const std::function<void(int32_t, const PartnerBacklog&)>& visit) const {
  const std::lock_guard lock(mutex_);
  for (const auto& [partner_id, partner] : partners_) visit(partner_id, *partner);
}

}  // namespace postback::ingest
