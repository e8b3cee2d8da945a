// By which time a partner is purged, if by any: what is purged does not come back, so no clock is
// believed alone. This machine's clock counts as far as base/time_guard.h believes it; the clock of
// the partner's database server may not contradict it; and the partner's own row of postback_purge
// tells as of when it was purged last (`as_of`), for servers without a disk of their own.
//
// After a purge the next one may be `kOffUs` later on the word of that row alone, and later than
// that when the clock is vouched for: proven by a day, or confirmed by the database server's. Then
// the time between is a gap (PurgeGap): rows with times inside may be of any age, stamped by a
// clock that was behind, and count as having come at its end. So what was acknowledged a moment
// before a clock was set right is kept as long as any other row.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "base/time_guard.h"

namespace postback::retention {

struct PurgeGap {
  int64_t began_us = 0;
  int64_t ended_us = 0;
};
using PurgeGaps = std::vector<PurgeGap>;

// As in postback_purge.gaps: "began-ended" in microseconds, separated by commas.
std::string gaps_text(const PurgeGaps& gaps);
PurgeGaps parse_gaps(std::string_view text);  // Leaves out what it cannot read.

// The time before which rows may go that are to be kept for so many days: never within a gap.
int64_t purge_before_us(int64_t now_us, int64_t days, const PurgeGaps& gaps);

struct PurgeEvidence {
  base::TimeView time;
  std::optional<int64_t> database_us;  // The partner's database server's clock, now.
  std::optional<int64_t> as_of_us;
  PurgeGaps gaps;
  bool by_hand = false;           // An operator asks for it.
  bool clock_is_trusted = false;  // And answers for the clock of this machine.
};

struct PurgeTime {
  int64_t now_us = 0;
  // Nothing tells how old anything is yet: this purge only notes when it was made.
  bool only_begins = false;
  PurgeGaps gaps;  // To be kept with now_us as the next `as_of`.
};

// An error says which clocks contradict each other, and what the operator can do.
base::Result<PurgeTime> purge_time(const PurgeEvidence& evidence);

}  // namespace postback::retention
