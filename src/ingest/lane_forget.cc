// The lane whose database is not the one it was.
#include <utility>

#include "base/log.h"
#include "ingest/lane.h"

namespace postback::ingest {

void Lane::forget_memory(const char* why) {
  LOG_WARNING("lane", name() + " forgets which conversion ids are durable, for " + why +
                          ": repeats are decided by the database");
  ++counters_.memory_forgotten;
  memory_.forget();
  // First copies on their way keep the place that their repeats look for.
  decltype(in_flight_) in_flight;
  for (const auto& [key, first] : in_flight_) {
    first->id_hash = memory_.hash_of(key.id);
    in_flight.try_emplace({first->id_hash, key.id}, first);
  }
  in_flight_ = std::move(in_flight);
  // Rows that the database confirmed while the journal has them: it may have lost them.
  if (backlog_ != nullptr) backlog_->forget_all_settled();
}

void Lane::keep_tail(const Flight& flight) {
  const uint64_t now_ns = environment_.loop->now_ns();
  for (const auto* postbacks : {&flight.postbacks, &flight.quarantined_postbacks}) {
    for (const Postback* postback : *postbacks) tail_.add(postback->conversion, now_ns);
  }
}

// The rows were answered long ago. Nobody waits for their records: the drain finds them, and the
// database stores them or finds them under their ids.
void Lane::replay_tail() {
  if (!tail_.is_on()) return;
  const uint64_t now_ns = environment_.loop->now_ns();
  Postback scratch;
  size_t lost = 0;
  const size_t count = tail_.take([&](const Conversion& row) {
    scratch.conversion = row;
    if (spill_.add(scratch, now_ns)) {
      spill_.forget(scratch);
    } else {
      ++lost;
    }
  });
  if (count == 0) return;
  LOG_WARNING("lane", name() + " replays the " + std::to_string(count - lost) +
                          " newest rows (FAILOVER_TAIL_S) through the journal" +
                          (lost > 0 ? ", " + std::to_string(lost) + " are too large for it" : ""));
  mark_dirty();
}

}  // namespace postback::ingest
