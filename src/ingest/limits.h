// The bounds of ingest, in one place.
#pragma once

#include <cstddef>
#include <cstdint>

namespace postback::ingest {

// One batch: large enough that its commit is paid by many rows, small enough that it takes a few
// milliseconds and that the parameters fit comfortably in memory.
constexpr size_t kBatchRowsMax = 1000;
constexpr size_t kBatchBytesMax = 4 * 1024 * 1024;

// A batch that takes longer than this is too large for its database: a quarter of ACK_BUDGET_MS, so
// that a postback which waits for one batch and goes with the next is answered in time.
constexpr uint64_t kBatchNsMax = 250'000'000;
// After a failure rows go out again in batches of this part of the one that failed: from 1000 rows
// two more failures lead to one row, for some sixty small commits.
constexpr size_t kBatchCut = 32;

// Postbacks that one lane holds, waiting or in flight. More than that is a database that cannot
// keep up: 503 at once is better than an answer after the sender has given up.
constexpr size_t kLanePostbacksMax = 16 * 1024;

// A batch goes out beside one that is on its way only when it has this many rows. Each commit waits
// for a flush of the disk: small batches in a row pay for it one after the other, while one that
// waits for the answer grows. Of 8, 16, 24, 32, 48, 64, 96 and 256 this is the best over 64
// connections (PostgreSQL: 1.26 times the throughput of 256, 1.8 times of 8; SQLite 1.23 times of
// 256) and among the best over 256 (1.06) and 1024 (1.03).
constexpr size_t kBatchRowsPipelined = 24;
static_assert(kBatchRowsPipelined <= kBatchRowsMax);
static_assert(kLanePostbacksMax >= 4 * kBatchRowsMax);

// Records that go to the journal together: one frame holds several such parts.
constexpr size_t kSpillBytesMax = 4 * 1024 * 1024;

// A disk that has not answered for this long hangs: its postbacks, which were answered 503 by their
// connections before (server/limits.h), are not held any longer.
constexpr uint64_t kSpillLimitNs = 2'000'000'000;

// Rows of one partner that were journaled because their database was late, and that the database
// has confirmed since: they are remembered until the drain has passed their records. At the bound
// a batch that is late is waited for, not journaled.
constexpr size_t kSettledRowsMax = 64 * 1024;

// A postback is moved to the journal when this share of its budget (ACK_BUDGET_MS) is over: what is
// left is for the disk, and for the tick that looks only every 50 ms.
constexpr uint64_t kBudgetPartNumerator = 3;
constexpr uint64_t kBudgetPartDenominator = 4;

// How many ids are tried for a row whose id another row has. Two in a row are taken once in many
// years; a bound all the same, since each costs a batch.
constexpr uint8_t kIdChangesMax = 32;

// A replayed batch. Beside live postbacks, of any partner, it is small, one at a time is with the
// store, and after each one the lane pauses for twice as long as it took: live batches get at least
// two thirds of the database's time, and nobody's commit waits long for a large one.
// Without them the next one is sent while the database works on the one before.
constexpr size_t kReplayRowsMax = 1000;
constexpr size_t kReplayBytesMax = 4 * 1024 * 1024;
constexpr size_t kReplayRowsBesideLive = 256;
constexpr uint64_t kReplayRests = 2;
constexpr size_t kReplaysInFlightMax = 2;
// So long a row that failed alone waits in its lane for others to be stored.
constexpr uint64_t kReplayDeferNsMax = 500'000'000;
// What the drain has read and not seen stored yet, over all partners.
constexpr size_t kReplayBatchesMax = 64;
constexpr size_t kReplayBatchesPerPartnerMax = 32;

// Batches that one core lets one database server work on at once; see submit_gate.h. With 100
// SQLite partners it makes 1.4 times the throughput of no bound; 2 and 8 are no better.
constexpr size_t kServerBatchesMax = 4;

// Reads of one lane that wait or run.
constexpr size_t kLaneReadsMax = 64;

// Repeats that memory recognised are filed in the statistics with the next batch, and after this
// time by themselves.
constexpr uint64_t kCountsDelayNs = 1'000'000'000;

// Postbacks of one core that are on their way.
constexpr size_t kCorePostbacksMax = 64 * 1024;

}  // namespace postback::ingest
