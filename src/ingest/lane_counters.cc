// What a lane tells of itself.
#include "ingest/lane.h"

namespace postback::ingest {

void LaneCounters::merge(const LaneCounters& other) {
  received += other.received;
  stored += other.stored;
  duplicate += other.duplicate;
  quarantined += other.quarantined;
  unavailable += other.unavailable;
  for (size_t i = 0; i < answers.size(); ++i) answers[i] += other.answers[i];
  batches += other.batches;
  batches_failed += other.batches_failed;
  memory_forgotten += other.memory_forgotten;
  batch_rows.merge(other.batch_rows);
  latency_us.merge(other.latency_us);
}

const char* lane_health_name(LaneHealth health) {
  switch (health) {
    case LaneHealth::up:
      return "up";
    case LaneHealth::suspect:
      return "suspect";
    case LaneHealth::down:
      return "down";
    case LaneHealth::draining:
      return "draining";
  }
  return "down";
}

}  // namespace postback::ingest
