#include "ingest/spill.h"

#include <algorithm>

#include "base/check.h"

namespace postback::ingest {

Spill::Spill(journal::Writer* writer, size_t part_bytes_max, io::Mailbox* mailbox,
             SpillClient* client, journal::Owner owner)
    : writer_(writer),
      part_bytes_max_(part_bytes_max),
      mailbox_(mailbox),
      client_(client),
      owner_(std::move(owner)) {}

Spill::~Spill() {
  CHECK(idle());
}

bool Spill::add(Postback& postback, uint64_t now_ns) {
  if (writer_ == nullptr) return false;
  CHECK(postback.conversion.id != 0 && postback.spill_part == nullptr);
  if (parts_.empty()) parts_.push_back(take_part(now_ns));
  Part* part = parts_.back().get();
  const size_t size_before = part->records.size();
  if (!part->add(postback.conversion, owner_)) return false;
  if (size_before > 0 && part->records.size() > part_bytes_max_) {
    // Too much together: the record begins the next part.
    part->records.resize(size_before);
    --part->record_count;
    parts_.push_back(take_part(now_ns));
    part = parts_.back().get();
    if (!part->add(postback.conversion, owner_)) return false;
  }
  postback.spill_part = part;
  postback.spill_index = static_cast<uint32_t>(part->postbacks.size());
  part->postbacks.push_back(&postback);
  return true;
}

void Spill::forget(Postback& postback) {
  auto* part = static_cast<Part*>(postback.spill_part);
  CHECK(part != nullptr && part->postbacks[postback.spill_index] == &postback);
  part->postbacks[postback.spill_index] = nullptr;
  part->forgotten.push_back(postback.conversion.id);
  postback.spill_part = nullptr;
}

void Spill::flush() {
  size_t taken = 0;
  while (taken < parts_.size() && in_flight_.size() < kPartsInFlightMax) {
    hand_over(std::move(parts_[taken++]));
  }
  parts_.erase(parts_.begin(), parts_.begin() + static_cast<ptrdiff_t>(taken));
}

void Spill::hand_over(std::unique_ptr<Part> owned) {
  Part* part = owned.release();  // Comes back to receive().
  part->reply_mailbox = mailbox_;
  part->reply_receiver = this;
  in_flight_.push_back(part);
  writer_->append(part);
}

// Nothing else is sent to a journal whose database answers, so it is asked.
void Spill::tick(uint64_t now_ns) {
  if (!refuses_ || !idle() || now_ns < asked_ns_ + kAskNs) return;
  asked_ns_ = now_ns;
  asks_ = true;
  hand_over(take_part(now_ns));
}

void Spill::receive(Message& message) {
  std::unique_ptr<Part> part(static_cast<Part*>(&message));
  const auto place = std::find(in_flight_.begin(), in_flight_.end(), part.get());
  CHECK(place != in_flight_.end());
  in_flight_.erase(place);
  const bool durable = part->result == journal::AppendResult::durable;
  if (part->result != journal::AppendResult::too_large) refuses_ = !durable;
  if (part->record_count == 0) {
    asks_ = false;
  } else {
    report(part.get(), durable);
  }
  // A burst leaves many parts behind, and large ones: memory for the usual case is kept.
  if (free_.size() >= kFreePartsMax || part->records.capacity() > kFreePartBytesMax) return;
  part->clear();
  part->postbacks.clear();
  part->forgotten.clear();
  free_.push_back(std::move(part));
}

void Spill::report(Part* part, bool durable) {
  std::erase(part->postbacks, nullptr);
  for (Postback* postback : part->postbacks) postback->spill_part = nullptr;
  client_->spilled(part->postbacks, part->forgotten, durable);
}

void Spill::give_up_before(uint64_t time_ns) {
  for (Part* part : in_flight_) {
    if (part->begun_ns >= time_ns || part->postbacks.empty()) continue;
    refuses_ = true;
    report(part, false);
    part->postbacks.clear();
    part->forgotten.clear();
  }
  while (!parts_.empty() && parts_.front()->begun_ns < time_ns) {
    const std::unique_ptr<Part> part = std::move(parts_.front());
    parts_.erase(parts_.begin());
    refuses_ = true;
    report(part.get(), false);
  }
}

std::unique_ptr<Spill::Part> Spill::take_part(uint64_t now_ns) {
  std::unique_ptr<Part> part;
  if (free_.empty()) {
    part = std::make_unique<Part>();
  } else {
    part = std::move(free_.back());
    free_.pop_back();
  }
  part->begun_ns = now_ns;
  return part;
}

}  // namespace postback::ingest
