#include "retention/purge_time.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "base/time.h"
#include "retention/limits.h"

namespace postback::retention {
namespace {

using base::Result;
using base::Status;

// More are told as one: there are as many only where a clock is set again and again.
constexpr size_t kGapsMax = 16;

std::string time_of(int64_t time_us) {
  std::string text;
  base::append_iso8601(&text, time_us - time_us % kSecondUs);
  return text;
}

bool is_near(int64_t a_us, int64_t b_us) {
  return std::abs(a_us - b_us) <= base::kToleranceUs;
}

void add_gap(const PurgeGap& gap, PurgeGaps* gaps) {
  for (const PurgeGap& known : *gaps) {
    if (known.began_us <= gap.began_us && gap.ended_us <= known.ended_us) return;
  }
  gaps->push_back(gap);
  std::sort(gaps->begin(), gaps->end(),
            [](const PurgeGap& a, const PurgeGap& b) { return a.began_us < b.began_us; });
  while (gaps->size() > kGapsMax) {
    (*gaps)[1].began_us = (*gaps)[0].began_us;
    (*gaps)[1].ended_us = std::max((*gaps)[0].ended_us, (*gaps)[1].ended_us);
    gaps->erase(gaps->begin());
  }
}

// What contradicts the clock of this machine.
Status contradiction(const PurgeEvidence& evidence) {
  if (evidence.time.state != base::ClockState::agreed) {
    return Status::error(evidence.time.reason);
  }
  const int64_t wall_us = evidence.time.wall_us;
  if (evidence.database_us.has_value() && !is_near(wall_us, *evidence.database_us)) {
    return Status::error("the clock of this machine says " + time_of(wall_us) +
                         " and that of its database's server " + time_of(*evidence.database_us) +
                         "; set the wrong one right");
  }
  return Status();
}

// `contradiction` found none.
bool is_vouched_for(const PurgeEvidence& evidence) {
  return evidence.time.proven || evidence.database_us.has_value();
}

// The time was sure at `as_of_us`, the last purge. Whether the clock may be so far past it.
Status jump(const PurgeEvidence& evidence, int64_t as_of_us) {
  const std::string days = std::to_string((evidence.time.wall_us - as_of_us) / kDayUs);
  if (evidence.time.wall_us - as_of_us > base::kAheadMaxUs) {
    return Status::error("the clock says " + time_of(evidence.time.wall_us) + ", " + days +
                         " days after the last purge; if it is right, purge by hand");
  }
  if (is_vouched_for(evidence)) return Status();
  return Status::error("the clock is " + days +
                       " days past the last purge, and has not agreed with the time since the boot "
                       "for a day yet; it will go on then");
}

}  // namespace

std::string gaps_text(const PurgeGaps& gaps) {
  std::string text;
  for (const PurgeGap& gap : gaps) {
    text += (text.empty() ? "" : ",") + std::to_string(gap.began_us) + "-" +
            std::to_string(gap.ended_us);
  }
  return text;
}

PurgeGaps parse_gaps(std::string_view text) {
  PurgeGaps gaps;
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), part.size() + 1));
    PurgeGap gap;
    const char* end = part.data() + part.size();
    auto read = std::from_chars(part.data(), end, gap.began_us);
    if (read.ec != std::errc() || read.ptr == end || *read.ptr != '-') continue;
    read = std::from_chars(read.ptr + 1, end, gap.ended_us);
    if (read.ec == std::errc() && read.ptr == end) gaps.push_back(gap);
  }
  return gaps;
}

int64_t purge_before_us(int64_t now_us, int64_t days, const PurgeGaps& gaps) {
  int64_t before_us = now_us - days * kDayUs;
  for (size_t again = 0; again <= gaps.size(); ++again) {
    for (const PurgeGap& gap : gaps) {
      if (gap.began_us < before_us && before_us < gap.ended_us) before_us = gap.began_us;
    }
  }
  return before_us;
}

Result<PurgeTime> purge_time(const PurgeEvidence& evidence) {
  const bool trusted = evidence.clock_is_trusted;
  if (!trusted) {
    const Status status = contradiction(evidence);
    if (!status.ok()) return status;
  }
  PurgeTime time;
  time.now_us = evidence.time.wall_us - (trusted ? 0 : evidence.time.lag_us);
  time.gaps = evidence.gaps;
  if (evidence.time.gap_ended_us != 0) {
    add_gap({evidence.time.gap_began_us, evidence.time.gap_ended_us}, &time.gaps);
  }
  // One in the future was noted by a clock that was wrong.
  const bool has_as_of = evidence.as_of_us.has_value() &&
                         *evidence.as_of_us <= evidence.time.wall_us + base::kToleranceUs;
  if (!has_as_of) {
    time.only_begins = !trusted && !evidence.by_hand && !is_vouched_for(evidence);
    return time;
  }
  const int64_t as_of_us = *evidence.as_of_us;
  if (evidence.time.wall_us - as_of_us > base::kOffUs) {
    const Status status = trusted ? Status() : jump(evidence, as_of_us);
    if (!status.ok()) return status;
    // While the purge catches up with a gap, what it has not reached yet is no other one.
    const bool is_within =
        std::any_of(time.gaps.begin(), time.gaps.end(), [as_of_us](const PurgeGap& gap) {
          return gap.began_us <= as_of_us && as_of_us < gap.ended_us;
        });
    if (!is_within) add_gap({as_of_us, evidence.time.wall_us}, &time.gaps);
  }
  if (!evidence.by_hand && !trusted) {
    time.now_us = std::min(time.now_us, as_of_us + kAdvanceUsMax);
  }
  return time;
}

}  // namespace postback::retention
