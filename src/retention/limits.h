// The numbers of the purge, and why they are what they are.
#pragma once

#include <cstddef>
#include <cstdint>

namespace postback::retention {

constexpr uint64_t kMillisecondNs = 1'000'000;
constexpr int64_t kSecondUs = 1'000'000;
constexpr int64_t kHourUs = 3'600 * kSecondUs;
constexpr int64_t kDayUs = 86'400 * kSecondUs;

// Rows that one transaction changes: some 5 to 15 ms of work on a database that has its pages in
// memory. It is adapted, so that a transaction takes about the target: a postback that arrives
// meanwhile waits as long at worst (SQLite has one writer at a time).
constexpr size_t kBatchRowsMax = 500;
constexpr size_t kBatchRowsMin = 20;
constexpr uint64_t kBatchTargetNs = 15 * kMillisecondNs;

// Rows that one statement looks at where there is little to change, such as those of earlier
// purges: as many as take a reader some 5 ms.
constexpr size_t kLookRowsMax = 5'000;

// A pause is that many times as long as the work before it: the purge takes at most a twentieth of
// the database's time, half of what it may cost the postbacks.
constexpr uint64_t kPauseTimes = 19;
constexpr uint64_t kPauseNsMax = 10'000 * kMillisecondNs;

// Who purges says that often that it lives and how far it came, and is taken for dead when it did
// not for so long. The clocks of two servers may differ by the time between. A page of conversions
// steps over what was purged since it was last said: at full pace 2,500 rows, 3 ms.
constexpr int64_t kLeaseRenewUs = 1 * kSecondUs;
constexpr int64_t kLeaseUs = 300 * kSecondUs;

// A partner's purge is due that long after the last one was complete. Looked at every hour: so it
// runs once a day, and an hour earlier rather than later.
constexpr int64_t kDueAfterUs = 23 * 3600 * kSecondUs;

// How far the time by which a partner is purged advances from one daily purge to the next, whatever
// the clocks say: a server that was off for three months has caught up after two weeks, and an
// error that all clocks share destroys a week of rows a day and not all of them.
constexpr int64_t kAdvanceUsMax = 8 * kDayUs;

// How far below the floor each purge looks again, for rows that came late: postbacks that a journal
// held while the database was away get the id of their receipt.
constexpr int64_t kLateUs = 3 * kDayUs;
// Rows may come later still, such as those of a partner that was disabled for weeks. So the daily
// purge also looks at that many rows below, and goes on there the next day: at 5,000 rows in 5 ms
// that is a second of the database's work, spread over twenty. A partner with fewer slim rows is
// looked through every day.
constexpr size_t kSweepRowsMax = 1'000'000;

// How long postback_stats tells minutes and hours apart; later days only. Reading it costs 0.2 us
// (PostgreSQL) to 0.3 us (SQLite) per row: there are some 2,900 rows of minutes for each writer
// that is never idle (4,400 before the daily purge), 840 of hours and one for each day, whatever
// number of years. Two days: whoever compares today with yesterday gets the minute. 35 days: a
// month, and some days to settle it in.
constexpr int64_t kStatsMinutesKeptUs = 2 * kDayUs;
constexpr int64_t kStatsHoursKeptUs = 35 * kDayUs;
// Merged only that much later: for the time between a reader's look at its clock and its read, and
// for clocks of servers that differ.
constexpr int64_t kStatsMergeAfterUs = 1 * kHourUs;

// Pages of 4 KiB in a SQLite file's write-ahead log, above which the purge writes them back itself.
// Any server that stores postbacks does so earlier (SqliteWriter: 1000 to 8192 pages).
constexpr int64_t kLogPagesMax = 12'288;

// How often a database that is busy is asked again, and for how long.
constexpr uint64_t kBusyPauseNs = 2'000 * kMillisecondNs;
constexpr int kBusyTimesMax = 30;

}  // namespace postback::retention
