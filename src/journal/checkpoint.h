// How far the journal is drained, as a small file that is replaced as a whole (FORMAT.md,
// "Checkpoint"), and the deletion of segments that are drained. Blocking; owner and thread: whoever
// drains.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/status.h"
#include "journal/disk.h"
#include "journal/segment.h"

namespace postback::journal {

// Frames first to last, both included.
struct LsnRange {
  uint64_t first = 0;
  uint64_t last = 0;
  bool operator==(const LsnRange&) const = default;
};

struct Checkpoint {
  // Everything before it is drained, whichever partner it belongs to.
  Position floor{1, 0};
  // Partners that are further than that: everything of theirs before it is drained.
  std::map<Owner, Position> partners;
  // Segments that were deleted although one before them is not drained yet: their frames are
  // missing for a good reason. Ascending.
  std::vector<LsnRange> removed;
  // Numbers that must never be given again, even when no segment is left to tell them.
  uint64_t next_lsn = 1;
  uint64_t next_segment = 1;

  // From where this partner's records have to be drained.
  Position start(const Owner& owner) const {
    const auto found = partners.find(owner);
    return found == partners.end() || found->second < floor ? floor : found->second;
  }
  bool drained(const Owner& owner, Position record) const { return record < start(owner); }
  // No frame at or above it is called drained, whole or in part: only such numbers may be given.
  // Higher than next_lsn while the segment being written is drained.
  uint64_t lsn_end() const;
  // The whole range is drained, or its segment was deleted after being drained.
  bool covers(uint64_t first_lsn, uint64_t last_lsn) const;

  bool operator==(const Checkpoint&) const = default;
};

enum class CheckpointState : uint8_t {
  read,
  missing,  // Never written, or lost: everything is drained from the start; repeats are absorbed.
  damaged,  // Likewise.
};
struct LoadedCheckpoint {
  Checkpoint checkpoint;
  CheckpointState state = CheckpointState::missing;
};

std::string encode_checkpoint(const Checkpoint& checkpoint);
// False, and *out unchanged, unless every byte is right.
[[nodiscard]] bool decode_checkpoint(std::string_view bytes, Checkpoint* out);

// Never fails for what the file holds; a file of a later version, or one that cannot be read, is
// an error.
base::Result<LoadedCheckpoint> load_checkpoint(Disk* disk, const std::string& folder);

// Makes `checkpoint` durable, then removes the segments of `sealed` (ascending, without the one
// being written) that are drained by it. Raises the floor over them first, and keeps next_lsn and
// next_segment above them. Returns the numbers of the segments that are gone; a damaged one is not
// deleted but renamed. Whatever fails, nothing undrained is gone, and it may be called again.
base::Result<std::vector<uint64_t>> commit_checkpoint(Disk* disk, const std::string& folder,
                                                      Checkpoint* checkpoint,
                                                      const std::vector<SegmentSummary>& sealed);

}  // namespace postback::journal
