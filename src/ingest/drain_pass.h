// One reading of the journal for the partners that can take their records now. Owner and thread:
// the drain.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <vector>

#include "ingest/drain.h"
#include "ingest/replay.h"
#include "journal/reader.h"

namespace postback::ingest {

struct DrainBatch : ReplayBatch {
  enum class State : uint8_t { filling, sent, back };
  State state = State::filling;
  struct Participant* participant = nullptr;
};

class DrainPass final : MessageReceiver {
 public:
  DrainPass(Drain* drain, std::shared_ptr<const partner::PartnerTable> table);
  ~DrainPass();  // Nothing is with a lane.

  // Reads to the end, or until stopped; then waits until every batch is back.
  void run();

 private:
  void add_participants();
  base::Result<journal::ReaderOptions> reader_options() const;
  bool read_all();
  void take(const Conversion& conversion, journal::Position position);
  DrainBatch* take_batch(Participant* participant, uint32_t slice);
  void send(Participant* participant, uint32_t slice);
  void send_all();
  bool wait_for_lane(Participant* participant, uint32_t slice);
  void receive(Message& message) override;
  void advance(Participant* participant);
  void drained(Participant* participant, const DrainBatch& batch);
  void finish(Participant* participant, bool read_to_end);
  void leave(Participant* participant);
  void free_batch(std::unique_ptr<DrainBatch> batch);

  Drain* const drain_;
  const std::shared_ptr<const partner::PartnerTable> table_;
  uint64_t last_lsn_ = 0;  // The newest record of this pass.
  std::map<int32_t, std::unique_ptr<Participant>> participants_;
  size_t taking_part_ = 0;  // Participants that have not left.
  size_t batch_count_ = 0;  // Of all participants.
};

}  // namespace postback::ingest
