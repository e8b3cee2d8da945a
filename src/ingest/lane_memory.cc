#include "ingest/lane_memory.h"

namespace postback::ingest {

bool LaneMemory::store_changed(const StoreStatus& status) {
  store_ = status.state;
  if (status.openings != openings_) {
    openings_ = status.openings;
    is_verified_ = sample_count_ == 0;
  }
  const bool is_another = status.identity_changes != identity_changes_;
  identity_changes_ = status.identity_changes;
  judge();
  return is_another;
}

void LaneMemory::tick(uint64_t now_ns) {
  if (!is_fresh_ || now_ns <= committed_ns_ + kTrustNs) return;
  is_fresh_ = false;
  is_verified_ = false;
  judge();
}

void LaneMemory::ask(Batch* batch) {
  if (is_verified_ || is_asking_ || sample_count_ == 0) return;
  batch->sample.assign(sample_.begin(), sample_.begin() + static_cast<ptrdiff_t>(sample_count_));
  is_asking_ = true;
}

bool LaneMemory::answered(const Batch& batch) {
  if (batch.sample.empty()) return false;
  is_asking_ = false;
  if (batch.result != BatchResult::committed) return false;
  if (batch.sample_found < batch.sample.size()) return true;
  is_verified_ = true;
  judge();
  return false;
}

void LaneMemory::note_committed(std::string_view newest_id, uint64_t now_ns) {
  committed_ns_ = now_ns;
  const bool was_fresh = is_fresh_;
  is_fresh_ = true;
  if (!newest_id.empty()) {
    if (sample_count_ == 0) is_verified_ = true;  // It was just stored over this connection.
    sample_[sample_next_].assign(newest_id);
    sample_next_ = (sample_next_ + 1) % kSampleMax;
    if (sample_count_ < kSampleMax) ++sample_count_;
  }
  if (!was_fresh || !is_believed_) judge();
}

void LaneMemory::forget() {
  scope_ = set_->new_scope();
  sample_count_ = 0;
  sample_next_ = 0;
  is_verified_ = true;
  judge();
}

void LaneMemory::judge() {
  const bool is_away = store_ == StoreState::down || store_ == StoreState::schema_wrong;
  is_believed_ = sample_count_ == 0 || is_away || (is_verified_ && is_fresh_);
}

}  // namespace postback::ingest
