#include "journal/checkpoint.h"

#include <algorithm>
#include <cerrno>

#include "base/crc32c.h"
#include "journal/bytes.h"
#include "journal/limits.h"
#include "journal/owner_bytes.h"
#include "journal/replace_file.h"

namespace postback::journal {
namespace {

using base::Result;
using base::Status;

constexpr std::string_view kMagic = "PBJCHECK";
constexpr size_t kFileBytesMax =
    64 + kCheckpointPartnersMax * (kOwnerBytesMax + 12) + kCheckpointRangesMax * size_t{16};

bool is_drained(const Checkpoint& checkpoint, const SegmentSummary& segment) {
  return std::all_of(segment.partners.begin(), segment.partners.end(), [&](const auto& entry) {
    return checkpoint.drained(entry.first, entry.second.last);
  });
}

// Adds a range; ranges that overlap or touch become one.
void add_range(std::vector<LsnRange>* ranges, LsnRange added) {
  std::erase_if(*ranges, [&](const LsnRange& range) {
    if (range.last + 1 < added.first || added.last + 1 < range.first) return false;
    added = {std::min(added.first, range.first), std::max(added.last, range.last)};
    return true;
  });
  const auto after = std::find_if(ranges->begin(), ranges->end(),
                                  [&](const LsnRange& range) { return range.first > added.first; });
  ranges->insert(after, added);
}

// Notes which segments are drained; those at the front raise the floor.
std::vector<SegmentSummary> take_drained(Checkpoint* checkpoint,
                                         const std::vector<SegmentSummary>& sealed) {
  std::vector<SegmentSummary> drained;
  uint64_t kept_lsn = 0;  // The last frame of the last segment that stays; 0: none.
  for (const SegmentSummary& segment : sealed) {
    checkpoint->next_segment = std::max(checkpoint->next_segment, segment.number + 1);
    checkpoint->next_lsn = std::max(checkpoint->next_lsn, segment.last_lsn + 1);
    const bool room = checkpoint->removed.size() < kCheckpointRangesMax || kept_lsn == 0;
    if (!room || !is_drained(*checkpoint, segment)) {
      kept_lsn = std::max(kept_lsn, segment.last_lsn);
      continue;
    }
    if (segment.last_lsn != 0 && kept_lsn == 0) {
      checkpoint->floor = std::max(checkpoint->floor, Position{segment.last_lsn + 1, 0});
    } else if (segment.last_lsn != 0) {
      // From the segment before that stays: what stood between was removed earlier, or carried
      // numbers of frames that failed.
      add_range(&checkpoint->removed, {kept_lsn + 1, segment.last_lsn});
    }
    drained.push_back(segment);
  }
  return drained;
}

// Forgets what the floor says already. Ranges that touch the floor raise it.
void tidy(Checkpoint* checkpoint) {
  std::erase_if(checkpoint->removed, [&](const LsnRange& range) {
    if (range.first <= checkpoint->floor.lsn && range.last >= checkpoint->floor.lsn) {
      checkpoint->floor = Position{range.last + 1, 0};
    }
    return range.last < checkpoint->floor.lsn;
  });
  std::erase_if(checkpoint->partners,
                [&](const auto& entry) { return entry.second <= checkpoint->floor; });
}

Status store(Disk* disk, const std::string& folder, const Checkpoint& checkpoint) {
  const std::string bytes = encode_checkpoint(checkpoint);
  if (bytes.size() > kFileBytesMax) {
    return Status::error("the journal's checkpoint would name more than " +
                         std::to_string(kCheckpointPartnersMax) + " partners");
  }
  return replace_file(disk, folder, kCheckpointName, bytes);
}

}  // namespace

bool Checkpoint::covers(uint64_t first_lsn, uint64_t last_lsn) const {
  if (last_lsn < floor.lsn) return true;
  const uint64_t first = std::max(first_lsn, floor.lsn);
  return std::any_of(removed.begin(), removed.end(), [&](const LsnRange& range) {
    return range.first <= first && last_lsn <= range.last;
  });
}

uint64_t Checkpoint::lsn_end() const {
  const auto behind = [](Position position) {
    return position.lsn + (position.record > 0 ? 1 : 0);
  };
  uint64_t end = std::max(next_lsn, behind(floor));
  for (const auto& [partner_id, position] : partners) end = std::max(end, behind(position));
  for (const LsnRange& range : removed) end = std::max(end, range.last + 1);
  return end;
}

std::string encode_checkpoint(const Checkpoint& checkpoint) {
  std::string out(kMagic);
  append<uint32_t>(&out, kFormatVersion);
  append<uint32_t>(&out, static_cast<uint32_t>(checkpoint.partners.size()));
  append<uint32_t>(&out, static_cast<uint32_t>(checkpoint.removed.size()));
  append<uint32_t>(&out, checkpoint.floor.record);
  append<uint64_t>(&out, checkpoint.floor.lsn);
  append<uint64_t>(&out, checkpoint.next_lsn);
  append<uint64_t>(&out, checkpoint.next_segment);
  for (const auto& [owner, position] : checkpoint.partners) {
    append_owner(owner, &out);
    append<uint32_t>(&out, position.record);
    append<uint64_t>(&out, position.lsn);
  }
  for (const LsnRange& range : checkpoint.removed) {
    append<uint64_t>(&out, range.first);
    append<uint64_t>(&out, range.last);
  }
  append<uint32_t>(&out, base::crc32c(out));
  return out;
}

bool decode_checkpoint(std::string_view bytes, Checkpoint* out) {
  if (bytes.size() < kMagic.size() + 8 || bytes.size() > kFileBytesMax) return false;
  const std::string_view covered = bytes.substr(0, bytes.size() - 4);
  if (base::crc32c(covered) != get<uint32_t>(bytes.data() + covered.size())) return false;
  Taker in(covered);
  if (in.take_text(kMagic.size()) != kMagic) return false;
  const auto version = in.take<uint32_t>();
  if (version < kFormatVersionOldest || version > kFormatVersion) return false;
  Checkpoint read;
  const auto partner_count = in.take<uint32_t>();
  const auto range_count = in.take<uint32_t>();
  read.floor.record = in.take<uint32_t>();
  read.floor.lsn = in.take<uint64_t>();
  read.next_lsn = in.take<uint64_t>();
  read.next_segment = in.take<uint64_t>();
  // The counts are trusted no further than the bytes go.
  for (uint32_t i = 0; i < partner_count && !in.failed(); ++i) {
    Owner owner;
    if (version == 1) {
      owner = static_cast<int32_t>(in.take<uint32_t>());
    } else if (!take_owner(&in, &owner)) {
      return false;
    }
    Position position;
    position.record = in.take<uint32_t>();
    position.lsn = in.take<uint64_t>();
    read.partners[owner] = position;
  }
  for (uint32_t i = 0; i < range_count && !in.failed(); ++i) {
    LsnRange range;
    range.first = in.take<uint64_t>();
    range.last = in.take<uint64_t>();
    read.removed.push_back(range);
  }
  if (in.failed() || in.left() != 0) return false;
  *out = std::move(read);
  return true;
}

Result<LoadedCheckpoint> load_checkpoint(Disk* disk, const std::string& folder) {
  LoadedCheckpoint loaded;
  const std::string path = folder + "/" + kCheckpointName;
  std::unique_ptr<File> file;
  const int error = disk->open(path, OpenMode::read, &file);
  if (error == -ENOENT) return loaded;
  if (error != 0) return disk_error("open", path, error);
  std::string bytes(kFileBytesMax + 1, '\0');
  const int64_t size = file->pread(bytes.data(), bytes.size(), 0);
  if (size < 0) return disk_error("read", path, static_cast<int>(size));
  bytes.resize(static_cast<size_t>(size));
  if (decode_checkpoint(bytes, &loaded.checkpoint)) {
    loaded.state = CheckpointState::read;
    return loaded;
  }
  // A CRC that is right behind another version's number is no damage.
  if (bytes.size() > kMagic.size() + 8 && bytes.starts_with(kMagic) &&
      get<uint32_t>(bytes.data() + kMagic.size()) > kFormatVersion &&
      base::crc32c(std::string_view(bytes).substr(0, bytes.size() - 4)) ==
          get<uint32_t>(bytes.data() + bytes.size() - 4)) {
    return Status::error("journal checkpoint " + path + " has format version " +
                         std::to_string(get<uint32_t>(bytes.data() + kMagic.size())) +
                         ", this program reads versions up to " + std::to_string(kFormatVersion) +
                         "; start the program that wrote it");
  }
  loaded.state = CheckpointState::damaged;
  return loaded;
}

Result<std::vector<uint64_t>> commit_checkpoint(Disk* disk, const std::string& folder,
                                                Checkpoint* checkpoint,
                                                const std::vector<SegmentSummary>& sealed) {
  const std::vector<SegmentSummary> drained = take_drained(checkpoint, sealed);
  tidy(checkpoint);
  // The order is the safety: only what a durable checkpoint calls drained is ever removed.
  const Status stored = store(disk, folder, *checkpoint);
  if (!stored.ok()) return stored;
  std::vector<uint64_t> gone;
  for (const SegmentSummary& segment : drained) {
    const std::string path = segment_path(folder, segment.number);
    const int error = segment.damaged ? disk->rename(path, damaged_path(folder, segment.number))
                                      : disk->unlink(path);
    if (error != 0 && error != -ENOENT) return disk_error("remove", path, error);
    gone.push_back(segment.number);
  }
  if (!gone.empty()) {
    const int error = disk->sync_folder(folder);
    if (error != 0) return disk_error("sync folder", folder, error);
  }
  return gone;
}

}  // namespace postback::journal
