#include "base/time_guard.h"

#include <algorithm>
#include <cstdlib>

#include "base/time.h"

namespace postback::base {
namespace {

bool is_near(int64_t a_us, int64_t b_us) {
  return std::abs(a_us - b_us) <= kToleranceUs;
}

// "3 h", "25 days": the largest unit that fits.
std::string span_text(int64_t span_us) {
  const int64_t minutes = std::abs(span_us) / 60'000'000;
  if (minutes < 120) return std::to_string(minutes) + " min";
  if (minutes < 2 * 1440) return std::to_string(minutes / 60) + " h";
  return std::to_string(minutes / 1440) + " days";
}

std::string time_of(int64_t time_us) {
  std::string text;
  append_iso8601(&text, time_us - time_us % 1'000'000);
  return text;
}

}  // namespace

const char* clock_state_name(ClockState state) {
  switch (state) {
    case ClockState::agreed:
      return "agreed";
    case ClockState::ahead:
      return "ahead";
    case ClockState::behind:
      return "behind";
    case ClockState::database_differs:
      return "database_differs";
  }
  return "agreed";
}

const TimeView& TimeGuard::look(const TimeSample& sample) {
  if (mark_.boot_id.empty()) {
    mark_.time_us = std::max(sample.database_us.value_or(sample.wall_us), kReleasedUs);
    mark_.boot_us = sample.boot_us;
    mark_.boot_id = sample.boot_id;
  }
  const Comparison found = compare(sample);
  view_.wall_us = sample.wall_us;
  view_.difference_us = found.difference_us;
  mark_.lag_us = std::max<int64_t>(0, mark_.lag_us - kCatchUp * found.elapsed_us);
  const bool was_off = !found.same_boot && found.difference_us > 0 && found.difference_us <= kOffUs;
  if (sample.database_us.has_value() && !found.database_agrees) {
    differ(sample, found);
  } else if (std::abs(found.difference_us) <= kToleranceUs || was_off) {
    if (was_off) mark_.lag_us += found.difference_us;
    agree(sample, found);
  } else {
    doubt(sample, found);
  }
  mark_.boot_us = sample.boot_us;
  mark_.boot_id = sample.boot_id;
  view_.proven = mark_.agreed_us >= kProofUs;
  view_.lag_us = mark_.lag_us;
  view_.gap_began_us = mark_.gap_began_us;
  view_.gap_ended_us = mark_.gap_ended_us;
  return view_;
}

TimeGuard::Comparison TimeGuard::compare(const TimeSample& sample) const {
  Comparison found{};
  found.same_boot = sample.boot_id == mark_.boot_id && sample.boot_us >= mark_.boot_us;
  found.elapsed_us = found.same_boot ? sample.boot_us - mark_.boot_us : 0;
  found.expected_us = mark_.time_us + found.elapsed_us;
  found.difference_us = sample.wall_us - found.expected_us;
  found.database_agrees =
      sample.database_us.has_value() && is_near(sample.wall_us, *sample.database_us);
  return found;
}

void TimeGuard::agree(const TimeSample& sample, const Comparison& found) {
  mark_.time_us = sample.wall_us;
  mark_.agreed_us = std::min(kProofUs, mark_.agreed_us + found.elapsed_us);
  mark_.course_from = 0;
  view_.state = ClockState::agreed;
  view_.believed_us = sample.wall_us;
  view_.id_time_us = sample.wall_us;
  view_.reason.clear();
}

void TimeGuard::doubt(const TimeSample& sample, const Comparison& found) {
  const bool is_ahead = found.difference_us > 0;
  const bool kept_course = keeps_course(sample, found);
  const bool is_possible =
      is_ahead ? found.difference_us <= kAheadMaxUs : sample.wall_us >= kReleasedUs;
  if (is_possible && (kept_course || (!is_ahead && found.database_agrees))) {
    if (is_ahead) mark_.lag_us += found.difference_us;
    if (found.difference_us > kOffUs) {
      // The clock may have been wrong since the machine was started.
      const int64_t since_us = std::max(found.same_boot ? sample.boot_us : 0, kProofUs);
      mark_.gap_began_us = found.expected_us - since_us - kToleranceUs;
      mark_.gap_ended_us = sample.wall_us;
    }
    if (kept_course) mark_.agreed_us = kProofUs;
    agree(sample, found);
    return;
  }
  mark_.time_us = found.expected_us;
  view_.state = is_ahead ? ClockState::ahead : ClockState::behind;
  // A row that is stamped late is kept for longer; one that is stamped early would go early.
  view_.believed_us = found.difference_us < -kBehindUs ? found.expected_us : sample.wall_us;
  view_.id_time_us = found.database_agrees ? sample.wall_us : found.expected_us;
  view_.reason =
      reason(sample, found.expected_us) +
      ", the last time that was sure plus what has passed since; nothing is purged until "
      "it is set right";
  if (is_possible) {
    const int64_t left_us = kProofUs - (sample.boot_us - mark_.course_from);
    view_.reason += " or has kept this course for another " + span_text(left_us);
  } else if (is_ahead) {
    view_.reason += "; if it is right, stop the server and remove DATA_DIR/clock.mark";
  }
}

// Whether the clock, although doubted, has run evenly for a day.
bool TimeGuard::keeps_course(const TimeSample& sample, const Comparison& found) {
  const int64_t course_us = sample.wall_us - sample.boot_us;
  const bool goes_on =
      found.same_boot && mark_.course_from != 0 && is_near(course_us, mark_.course_us);
  if (!goes_on) {
    mark_.course_us = course_us;
    mark_.course_from = std::max<int64_t>(1, sample.boot_us);
  }
  return sample.boot_us - mark_.course_from >= kProofUs;
}

// Of two clocks that contradict each other the mark tells which is wrong, if it is proven. Else the
// database's is followed: all servers that share it then stamp alike.
void TimeGuard::differ(const TimeSample& sample, const Comparison& found) {
  const int64_t database_us = *sample.database_us;
  const bool clock_is_proven =
      mark_.agreed_us >= kProofUs && std::abs(found.difference_us) <= kToleranceUs;
  const bool clock_is_right =
      clock_is_proven || (database_us < kReleasedUs && sample.wall_us >= kReleasedUs);
  view_.state = ClockState::database_differs;
  view_.difference_us = sample.wall_us - database_us;
  view_.believed_us = clock_is_right ? sample.wall_us : database_us;
  view_.id_time_us = view_.believed_us;
  mark_.time_us = view_.believed_us;
  mark_.course_from = 0;
  view_.reason = reason(sample, database_us) +
                 " at the control database's server; nothing is purged until both are the same";
}

std::string TimeGuard::reason(const TimeSample& sample, int64_t other_us) const {
  return "the clock says " + time_of(sample.wall_us) + ", " + span_text(sample.wall_us - other_us) +
         (sample.wall_us > other_us ? " after " : " before ") + time_of(other_us);
}

}  // namespace postback::base
