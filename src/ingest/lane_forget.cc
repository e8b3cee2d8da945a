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

}  // namespace postback::ingest
