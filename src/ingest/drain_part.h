// One partner's part in a pass of the drain: the batches that its records are collected in, sent in
// and come back in, and the position up to which they are drained.
//
// It may leave the pass before the end. What was sent by then still counts when it comes back in
// order; everything behind it is read again by a later pass, and recognised where the database has
// it. So a slow database makes progress, too, and nobody waits for it.
//
// Owner: the pass; and when it has left while batches are out, the drain. Thread: the drain's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "ingest/drain.h"
#include "ingest/replay.h"

namespace postback::ingest {

struct DrainBatch : ReplayBatch {
  enum class State : uint8_t { filling, sent, back };
  State state = State::filling;
  std::vector<journal::Position> positions;  // Of its rows' records.
};

class DrainPart final : MessageReceiver {
 public:
  // `additions`: of the partner's backlog, read before the end of the pass was decided. `sources`:
  // whose records go to the partner; at least one.
  DrainPart(Drain* drain, std::shared_ptr<const partner::PartnerEntry> entry, uint64_t additions,
            std::vector<Source> sources);
  ~DrainPart();  // idle().
  DrainPart(const DrainPart&) = delete;
  DrainPart& operator=(const DrainPart&) = delete;

  const Partner& partner() const { return entry_->partner; }
  const std::vector<Source>& sources() const { return sources_; }
  bool takes(const journal::Owner& owner) const;
  uint32_t slice_of(const Conversion& conversion) const;
  journal::Position start() const { return start_; }  // Of its first record that is not drained.

  // The batch being filled for the slice, or nullptr; and a new one. May be added at the bound only
  // after batches have come back: see Drain::kBatchesMax and kPartBatchesMax.
  DrainBatch* filling(uint32_t slice) const { return filling_[slice]; }
  void begin_batch(uint32_t slice);
  bool may_begin_batch() const;
  // The record stands in the journal anew: this copy of it is drained.
  bool was_moved(journal::Position position) const;
  // Adds a record to the slice's batch. True when the batch is full.
  bool add(uint32_t slice, const Conversion& conversion, journal::Position position);
  bool may_send(uint32_t slice) const;
  void send(uint32_t slice);

  // Takes nothing more in this pass. Batches that are with a lane come back all the same.
  void leave();
  bool has_left() const { return left_; }
  bool idle() const { return sent_count_ == 0; }
  bool is_drained() const { return batches_.empty(); }  // As far as it was read.
  // Batches are out, and none has come back for too long.
  bool is_stuck() const;
  // The journal was read up to and including `last_lsn`, and everything is drained.
  void finish(uint64_t last_lsn);

  uint64_t waited_ns = 0;  // How long the pass has waited for it.

 private:
  void receive(Message& message) override;
  void advance();
  void set_position(journal::Position position);
  void cut(size_t from);
  void count(const DrainBatch& batch);
  void note_moved(const DrainBatch& batch);

  Drain* const drain_;
  const std::shared_ptr<const partner::PartnerEntry> entry_;
  const std::vector<Source> sources_;
  PartnerBacklog* const backlog_;  // Where the partner's lanes count.
  const uint64_t additions_;
  const journal::Position start_;
  journal::Position read_;  // Behind the last record of `batches_`.
  // By their first record. What is not drained begins with the first of them, or else at read_.
  std::deque<std::unique_ptr<DrainBatch>> batches_;
  std::vector<std::unique_ptr<DrainBatch>> cut_off_;  // Still out; their records are read again.
  std::vector<DrainBatch*> filling_;                  // By slice; in batches_.
  std::vector<size_t> sent_;                          // By slice: how many are out.
  size_t sent_count_ = 0;
  uint64_t progress_ns_ = 0;  // When a batch came back last, or went out while none was.
  bool left_ = false;
};

}  // namespace postback::ingest
