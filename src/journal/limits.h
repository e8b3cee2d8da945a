// The bounds of the journal, in one place. Those of the format are also in FORMAT.md.
#pragma once

#include <cstddef>
#include <cstdint>

namespace postback::journal {

// Written. Version 1, whose records are not marked with their control database, is read.
constexpr uint32_t kFormatVersion = 2;
constexpr uint32_t kFormatVersionOldest = 1;

// Frames start at multiples of this, so a block that holds an acknowledged frame is never written
// again, and frames behind damage are found by looking at every block only.
constexpr uint64_t kBlockBytes = 4096;
// Two copies of the segment's header, a block each.
constexpr uint64_t kFramesOffset = 2 * kBlockBytes;

constexpr uint64_t kSegmentBytesDefault = 64ull * 1024 * 1024;
constexpr uint64_t kSegmentBytesMin = 4 * kBlockBytes;
constexpr uint64_t kSegmentBytesMax = 1024ull * 1024 * 1024;  // Offsets are 32 bits wide.

// One frame: two of the largest batches of the lanes and then some. A reader never allocates more.
constexpr size_t kFramePayloadBytesMax = 16 * 1024 * 1024;
// One record: a 64 KiB body, which raw_data may hold again with six bytes for each ("\u0001"), the
// headers likewise, all with room to spare.
constexpr size_t kRecordBytesMax = 2 * 1024 * 1024;

// A spare segment is made in slices between frames, so an append waits for one slice at most: 4 MiB
// take some 10 ms on a disk that writes 400 MB/s.
constexpr size_t kZeroSliceBytes = 4 * 1024 * 1024;

// A second failed frame within this time is a broken disk, not an accident.
constexpr uint64_t kFailureWindowNs = 10'000'000'000;
// After a spare could not be made (disk full, no inodes) it is tried again this much later.
constexpr uint64_t kSpareRetryNs = 1'000'000'000;

// Watermarks: with less free space than that no further segment is made, and appends are refused
// when the segments that are prepared are full; at once on a disk that overwrites nothing in place.
constexpr uint64_t kFreeSegmentsMin = 2;
constexpr uint64_t kFreePercentMin = 5;

// How often the free space is looked at, postbacks or not.
constexpr uint64_t kSpaceIntervalNs = 1'000'000'000;

// Appends of which the writer remembers the bytes at a time; more are refused.
constexpr size_t kQueuedBytesMax = 4 * kFramePayloadBytesMax;

// Entries of a checkpoint file: partners, and ranges of frames whose segment is gone already.
constexpr uint32_t kCheckpointPartnersMax = 64 * 1024;
constexpr uint32_t kCheckpointRangesMax = 4096;

}  // namespace postback::journal
