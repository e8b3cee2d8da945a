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
  ReplayBatch* replay = nullptr;  // Its rows are records of the journal.

  size_t row_count() const { return postbacks.size() + quarantined_postbacks.size(); }
  void clear() {
    postbacks.clear();
    quarantined_postbacks.clear();
    conversions.clear();
    quarantined.clear();
    sample.clear();
    duplicate_count = 0;
    byte_count = 0;
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
    flight->clear();
    spare_.push_back(std::move(flight));
  }

 private:
  std::vector<std::unique_ptr<Flight>> spare_;
};

}  // namespace postback::ingest
