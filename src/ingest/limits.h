// The bounds of ingest, in one place.
#pragma once

#include <cstddef>
#include <cstdint>

namespace postback::ingest {

// One batch: large enough that its commit is paid by many rows, small enough that it takes a few
// milliseconds and that the parameters fit comfortably in memory.
constexpr size_t kBatchRowsMax = 1000;
constexpr size_t kBatchBytesMax = 4 * 1024 * 1024;

// Postbacks that one lane holds, waiting or in flight. More than that is a database that cannot
// keep up: 503 at once is better than an answer after the sender has given up.
constexpr size_t kLanePostbacksMax = 16 * 1024;

// A batch goes out beside one that is on its way only when it has this many rows. Each commit waits
// for a flush of the disk: small batches in a row pay for it one after the other, while one that
// waits for the answer grows. Against sending every batch at once: 1.27 times the throughput over
// 64 connections, 0.97 times over 256 (PostgreSQL, medians of three runs; more on a slower disk).
constexpr size_t kBatchRowsPipelined = 256;
static_assert(kBatchRowsPipelined <= kBatchRowsMax);
static_assert(kLanePostbacksMax >= 4 * kBatchRowsMax);

// Reads of one lane that wait or run.
constexpr size_t kLaneReadsMax = 64;

// Repeats that memory recognised are filed in the statistics with the next batch, and after this
// time by themselves.
constexpr uint64_t kCountsDelayNs = 1'000'000'000;

// Postbacks of one core that are on their way.
constexpr size_t kCorePostbacksMax = 64 * 1024;

}  // namespace postback::ingest
