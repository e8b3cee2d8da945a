// Whether the wall clock can be believed. A clock may be dead (2001), far ahead, or be set while we
// run, and what is deleted by its word does not come back. So its word is compared with what else
// tells the time:
//
//   - the mark: a time that was agreed upon, kept in DATA_DIR over restarts, plus what
//     CLOCK_BOOTTIME has counted since. On the same boot that is exact; after a boot it is a lower
//     bound, since nobody knows how long the machine was off.
//   - the clock of the control database's server, where there is one.
//
// States. `agreed`: all agree within kToleranceUs. Others end when all agree again, or:
//
//   ahead             the clock is past the mark. It may be right: a machine was off, or its clock
//                     was wrong before. Believed after a day on one course (kProofUs), if it is not
//                     more than kAheadMaxUs; that would be a person's decision.
//   behind            the clock is before the mark. Believed after a day on one course, unless it
//   is
//                     before the release of this program; at once when a database agrees with it.
//   database_differs  the two clocks contradict each other.
//
// A jump ahead leaves a lag: the purge follows the clock at kCatchUp times its pace, so that an
// error which nobody notices destroys slowly. A jump of more than kOffUs also leaves a gap: what
// came between its ends may have any age, and counts as having come at its later end.
//
// A value without clock or file of its own. One thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace postback::base {

// As far as clocks of one site may differ, and as a clock may be corrected without being doubted.
constexpr int64_t kToleranceUs = int64_t{600} * 1'000'000;
constexpr int64_t kProofUs = int64_t{24 * 3600} * 1'000'000;
// For how long a machine may have been off without being doubted: over a night and a day.
constexpr int64_t kOffUs = int64_t{36 * 3600} * 1'000'000;
constexpr int64_t kAheadMaxUs = int64_t{400 * 24 * 3600} * 1'000'000;
constexpr int64_t kCatchUp = 3;
// Rows are stamped by a clock that is behind by less than this: zones and days are mixed up easily.
constexpr int64_t kBehindUs = int64_t{25 * 3600} * 1'000'000;
// 2026-11-01: before this program was released no clock was right.
constexpr int64_t kReleasedUs = int64_t{1'793'491'200} * 1'000'000;

enum class ClockState : uint8_t { agreed, ahead, behind, database_differs };

struct TimeSample {
  int64_t wall_us = 0;                 // CLOCK_REALTIME
  int64_t boot_us = 0;                 // CLOCK_BOOTTIME
  std::string boot_id;                 // Which boot that counts from.
  std::optional<int64_t> database_us;  // The control database server's clock, at the same moment.
};

// What is kept between looks and over restarts (time_mark.h).
struct TimeMark {
  int64_t time_us = 0;  // The time when CLOCK_BOOTTIME of boot_id said boot_us.
  int64_t boot_us = 0;
  std::string boot_id;      // Empty: there is no mark yet.
  int64_t agreed_us = 0;    // For how long the clock has agreed, at most kProofUs.
  int64_t lag_us = 0;       // By how much the purge is behind the clock.
  int64_t course_us = 0;    // While the clock is doubted: wall_us - boot_us, …
  int64_t course_from = 0;  // … since this boot_us; 0: it is not doubted.
  int64_t gap_began_us = 0;
  int64_t gap_ended_us = 0;  // 0: no jump left a gap.
};

struct TimeView {
  ClockState state = ClockState::agreed;
  bool proven = false;      // The mark was agreed upon for a day.
  int64_t wall_us = 0;      // CLOCK_REALTIME, as it is.
  int64_t believed_us = 0;  // By which rows are stamped.
  int64_t id_time_us = 0;   // By which rows are ordered: never far from the mark.
  int64_t lag_us = 0;
  int64_t gap_began_us = 0;  // As in TimeMark.
  int64_t gap_ended_us = 0;
  int64_t difference_us = 0;  // Of wall_us to the mark; to the database where that differs.
  std::string reason;         // Of a state that is not agreed: what, why, what to do.
};

class TimeGuard {
 public:
  explicit TimeGuard(TimeMark mark = {}) : mark_(std::move(mark)) {}
  const TimeView& look(const TimeSample& sample);
  const TimeView& view() const { return view_; }  // Of the last look.
  const TimeMark& mark() const { return mark_; }

 private:
  struct Comparison {
    bool same_boot;
    int64_t elapsed_us;
    int64_t expected_us;
    int64_t difference_us;  // Of the wall clock to expected_us.
    bool database_agrees;
  };
  Comparison compare(const TimeSample& sample) const;
  void agree(const TimeSample& sample, const Comparison& found);
  void doubt(const TimeSample& sample, const Comparison& found);
  bool keeps_course(const TimeSample& sample, const Comparison& found);
  void differ(const TimeSample& sample, const Comparison& found);
  std::string reason(const TimeSample& sample, int64_t other_us) const;

  TimeMark mark_;
  TimeView view_;
};

const char* clock_state_name(ClockState state);

}  // namespace postback::base
