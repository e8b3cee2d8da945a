// Fuzz target of the journal's checkpoint: any bytes as its file, with an odd first byte behind a
// right CRC; and the deletion of segments that are drained by it. The input behind the checkpoint's
// bytes, from the first kPartEnd on, describes segments: eight bytes each.
#include <algorithm>

#include "../unit/journal/fake_disk.h"
#include "base/crc32c.h"
#include "input.h"
#include "journal/bytes.h"
#include "journal/checkpoint.h"

namespace {

using namespace postback::journal;

constexpr const char* kFolder = "journal";
// Numbers of frames as they occur: below what the program could ever give.
constexpr uint64_t kLsnMax = 1ull << 62;

bool has_usual_numbers(const Checkpoint& checkpoint) {
  if (checkpoint.floor.lsn > kLsnMax || checkpoint.next_lsn > kLsnMax) return false;
  if (checkpoint.next_segment > kLsnMax) return false;
  for (const LsnRange& range : checkpoint.removed) {
    if (range.first > range.last || range.last > kLsnMax) return false;
  }
  return true;
}

// The first frame from `lsn` on at which a segment of `count` frames can still be there: in front
// of it are frames that were removed.
uint64_t place_after_removed(const Checkpoint& checkpoint, uint64_t lsn, uint64_t count) {
  bool moved = true;
  while (moved) {
    moved = false;
    for (const LsnRange& range : checkpoint.removed) {
      if (range.last < lsn || lsn + count <= range.first) continue;
      lsn = range.last + 1;
      moved = true;
    }
  }
  return lsn;
}

// Segments that were sealed one after the other, of few frames and partners.
std::vector<SegmentSummary> segments_of(std::string_view bytes, const Checkpoint& checkpoint) {
  std::vector<SegmentSummary> segments;
  uint64_t lsn = checkpoint.floor.lsn;
  for (uint64_t number = 1; bytes.size() >= 8 && number <= 16; ++number) {
    const auto at = [bytes](size_t i) { return static_cast<uint8_t>(bytes[i]); };
    SegmentSummary segment;
    segment.number = number;
    lsn += at(0) % 4;  // Frames that failed have numbers that were not used.
    if (at(1) != 0) {
      const uint64_t count = 1 + at(1) % 8;
      segment.first_lsn = place_after_removed(checkpoint, lsn, count);
      segment.last_lsn = segment.first_lsn + count - 1;
      lsn = segment.last_lsn + 1;
      segment.add(at(2) % 4, {segment.first_lsn, at(3)});
      segment.add(at(4) % 4, {segment.last_lsn, at(5)});
    }
    segment.damaged = (at(6) & 1) != 0;
    segments.push_back(segment);
    bytes.remove_prefix(8);
  }
  return segments;
}

bool is_drained(const Checkpoint& checkpoint, const SegmentSummary& segment) {
  for (const auto& [partner_id, tail] : segment.partners) {
    if (!checkpoint.drained(partner_id, tail.last)) return false;
  }
  return true;
}

// Only what is drained goes, what was drained stays drained, and the file says what memory says.
void check_commit(const Checkpoint& before, const std::vector<SegmentSummary>& segments) {
  FakeDisk disk;
  for (const SegmentSummary& segment : segments) {
    disk.set_content(segment_path(kFolder, segment.number), "segment");
  }
  Checkpoint after = before;
  auto gone = commit_checkpoint(&disk, kFolder, &after, segments);
  CHECK(gone.ok());
  for (const SegmentSummary& segment : segments) {
    const auto& numbers = gone.value();
    const bool is_gone = std::find(numbers.begin(), numbers.end(), segment.number) != numbers.end();
    CHECK(is_gone == !disk.exists(segment_path(kFolder, segment.number)));
    CHECK(!is_gone || is_drained(before, segment));
    CHECK(!(is_gone && segment.damaged) || disk.exists(damaged_path(kFolder, segment.number)));
    for (const auto& [partner_id, tail] : segment.partners) {
      CHECK(before.drained(partner_id, tail.last) == after.drained(partner_id, tail.last));
    }
    // Its frames are missing from now on, and nobody may call that a loss.
    if (is_gone && segment.last_lsn != 0) CHECK(after.covers(segment.first_lsn, segment.last_lsn));
    CHECK(after.next_segment > segment.number && after.next_lsn > segment.last_lsn);
  }
  CHECK(!(after.floor < before.floor));
  auto loaded = load_checkpoint(&disk, kFolder);
  CHECK(loaded.ok() && loaded.value().state == CheckpointState::read);
  CHECK(loaded.value().checkpoint == after);
}

void check_load(const std::string& bytes, bool right) {
  FakeDisk disk;
  disk.set_content(std::string(kFolder) + "/" + kCheckpointName, bytes);
  auto loaded = load_checkpoint(&disk, kFolder);
  if (!loaded.ok()) {
    postback::fuzz::check_message(loaded.status().message());
    CHECK(!right);
    return;
  }
  CHECK((loaded.value().state == CheckpointState::read) == right);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::string_view rest = postback::fuzz::text_of(data + 1, size - 1);
  std::string bytes(postback::fuzz::take_part(&rest));
  if ((data[0] & 1) != 0 && bytes.size() >= 4) {
    const size_t covered = bytes.size() - 4;
    put<uint32_t>(bytes.data() + covered,
                  postback::base::crc32c(std::string_view(bytes).substr(0, covered)));
  }
  Checkpoint checkpoint;
  const bool right = decode_checkpoint(bytes, &checkpoint);
  // Loading makes room for the largest checkpoint, which is slow: not for every input.
  if ((data[0] & 2) != 0) check_load(bytes, right);
  if (!right) {
    CHECK(checkpoint == Checkpoint());
    return 0;
  }
  Checkpoint again;
  CHECK(decode_checkpoint(encode_checkpoint(checkpoint), &again) && again == checkpoint);
  if (!has_usual_numbers(checkpoint)) return 0;
  check_commit(checkpoint, segments_of(rest, checkpoint));
  return 0;
}
