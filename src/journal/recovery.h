// Reads a whole journal at the start, by the recovery table of FORMAT.md: what is there, what is
// lost, where writing goes on. Blocking.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/status.h"
#include "journal/checkpoint.h"
#include "journal/frame_reader.h"
#include "journal/orders.h"
#include "journal/segment.h"

namespace postback::journal {

struct Recovered {
  LoadedCheckpoint checkpoint;
  std::vector<SegmentSummary> segments;  // All but the spares, ascending.
  // Segments that never took a frame and may be written at once, ascending.
  std::vector<SegmentHeader> spares;
  std::vector<Gap> gaps;                        // Acknowledged data that is lost: degraded health.
  std::vector<TornTail> torn;                   // Was never acknowledged; cut, with a copy kept.
  std::vector<TornTail> stale;                  // Bytes of other segments; left alone.
  std::vector<uint64_t> header_copies_damaged;  // Segments; nothing is lost.
  std::vector<std::string> kept;                // Files kept for a person: *.damaged, *.torn.
  uint64_t records = 0;                         // All that can be read, drained or not.
  uint64_t undrained_records = 0;               // Those that the checkpoint does not call drained.
  std::map<Owner, uint64_t> undrained_by_owner;
  std::vector<Order> orders;  // The checkpoint calls drained what they discard.
  std::string orders_error;   // Why those in the folder are not known; empty: they are.
  uint64_t next_lsn = 1;
  uint64_t next_segment = 1;
  uint64_t durable_records = 0;

  bool damaged() const;  // Something is lost that was not drained, or a header copy is damaged.
};

// Looks and changes nothing. An error: an unknown version, or a disk that does not read.
base::Result<Recovered> survey(Disk* disk, const std::string& folder);

// The same by the journal's owner (who holds its lock): also syncs what was found, so that it may
// be called durable, cuts torn tails after keeping a copy, and removes files that were never
// finished. May be repeated after a crash at any point.
base::Result<Recovered> recover(Disk* disk, const std::string& folder);

// One line about a gap, for log and tool: segment, place, frames, records, reason.
std::string gap_text(const Gap& gap);

}  // namespace postback::journal
