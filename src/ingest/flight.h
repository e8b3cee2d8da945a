// A batch and the postbacks behind its rows, and where a lane keeps the ones that it will need
// again. Thread: the lane's core.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "ingest/postback.h"
#include "postback/store.h"

namespace postback::ingest {

// The postbacks stand in the order of the batch's rows.
struct Flight : Batch {
  std::vector<Postback*> postbacks;
  std::vector<Postback*> quarantined_postbacks;
  size_t byte_count = 0;
  uint64_t begun_ns = 0;          // When its oldest row came.
  uint64_t submitted_ns = 0;      // When the store got it.
  bool has_slot = false;          // Of the database server; see SubmitGate.
  bool is_suspect = false;        // Its rows are; see Suspects. It is alone with the store.
  ReplayBatch* replay = nullptr;  // Its rows are records of the journal.

  size_t row_count() const { return postbacks.size() + quarantined_postbacks.size(); }
  Postback& first_row() const {  // row_count() > 0.
    return postbacks.empty() ? *quarantined_postbacks.front() : *postbacks.front();
  }
  // Keeps `row_count` rows from the front, conversions first; the others go to `rest`, which is
  // empty.
  void cut(size_t row_count, Flight* rest);
  void clear() {
    postbacks.clear();
    quarantined_postbacks.clear();
    conversions.clear();
    quarantined.clear();
    sample.clear();
    duplicate_count = 0;
    byte_count = 0;
    is_suspect = false;
    replay = nullptr;
  }
};

class FlightPool {
 public:
  std::unique_ptr<Flight> take() {
    if (spare_.empty()) return std::make_unique<Flight>();
    std::unique_ptr<Flight> flight = std::move(spare_.back());
    spare_.pop_back();
    return flight;
  }
  void give_back(std::unique_ptr<Flight> flight) {
    if (spare_.size() == kSpareMax) return;
    flight->clear();
    spare_.push_back(std::move(flight));
  }

 private:
  static constexpr size_t kSpareMax = 64;  // More only where one batch was cut into many.
  std::vector<std::unique_ptr<Flight>> spare_;
};

inline void Flight::cut(size_t row_count, Flight* rest) {
  const auto move_from = [](size_t kept, std::vector<Postback*>* from, std::vector<Postback*>* to) {
    if (kept >= from->size()) return;
    to->assign(from->begin() + static_cast<ptrdiff_t>(kept), from->end());
    from->resize(kept);
  };
  move_from(row_count, &postbacks, &rest->postbacks);
  move_from(row_count - postbacks.size(), &quarantined_postbacks, &rest->quarantined_postbacks);
  rest->replay = replay;
  rest->begun_ns = begun_ns;
}

}  // namespace postback::ingest
