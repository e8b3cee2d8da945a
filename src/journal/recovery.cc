#include "journal/recovery.h"

#include <algorithm>
#include <cerrno>

#include "journal/record.h"

namespace postback::journal {
namespace {

using base::Result;
using base::Status;

constexpr size_t kCopyBytes = 1024 * 1024;

// Adds the records of the reader's frame to a summary.
void add_records(const FrameReader& reader, SegmentSummary* segment, Recovered* out) {
  for (const FrameRecord& record : reader.records()) {
    RecordPrefix prefix;
    if (read_prefix(record.bytes, &prefix) != RecordFault::none) continue;
    const Position position{reader.records_lsn(), record.index};
    segment->add(prefix.owner, position);
    ++out->records;
    if (!out->checkpoint.checkpoint.drained(prefix.owner, position)) {
      ++out->undrained_records;
      ++out->undrained_by_owner[prefix.owner];
    }
  }
}

void add_frame(const FrameReader& reader, SegmentSummary* segment, Recovered* out) {
  const FrameHeader& header = reader.frame();
  if (segment->first_lsn == 0) segment->first_lsn = header.lsn;
  segment->last_lsn = header.lsn;
  out->next_lsn = std::max(out->next_lsn, header.lsn + 1);
  out->durable_records = header.durable_records + header.record_count;
  add_records(reader, segment, out);
}

bool is_spare(const SegmentSummary& segment, const OpenSegment& open) {
  return segment.first_lsn == 0 && !segment.damaged && open.header_valid && !open.header_damaged &&
         open.file_bytes == open.header.segment_bytes;
}

// Reads everything; segments that look like spares are put aside until it is known that no frame
// follows them.
class Surveyor {
 public:
  Surveyor(Recovered* out, FrameReaderOptions options) : out_(out), reader_(std::move(options)) {}

  Status run() {
    for (Read read = reader_.next(); read != Read::end; read = reader_.next()) {
      if (read == Read::failed) return reader_.status();
      if (started_number_ != reader_.segment()) start_segment();
      if (read == Read::frame) {
        add_frame(reader_, &out_->segments.back(), out_);
      } else if (read == Read::gap) {
        take_gap();
      } else if (read == Read::torn) {
        out_->torn.push_back(reader_.torn());
        unclean_ = true;
      } else if (read == Read::stale) {
        out_->stale.push_back(reader_.torn());
        unclean_ = true;
      }
      spare_ = is_spare(out_->segments.back(), reader_.open()) && !unclean_;
      header_ = reader_.open().header;
    }
    finish_segment();
    return Status();
  }

 private:
  void start_segment() {
    finish_segment();
    started_number_ = reader_.segment();
    unclean_ = false;
    SegmentSummary segment;
    segment.number = started_number_;
    segment.bytes = reader_.open().file_bytes;
    out_->segments.push_back(segment);
    if (reader_.open().header_damaged && reader_.open().header_valid) {
      out_->header_copies_damaged.push_back(started_number_);
    }
  }

  // A segment without frames is a spare only behind the last one with frames.
  void finish_segment() {
    if (started_number_ == 0) return;
    if (spare_) {
      header_.number = started_number_;
      out_->spares.push_back(header_);
      spare_summaries_.push_back(out_->segments.back());
      out_->segments.pop_back();
    } else if (out_->segments.back().first_lsn != 0) {
      out_->segments.insert(out_->segments.end() - 1, spare_summaries_.begin(),
                            spare_summaries_.end());
      spare_summaries_.clear();
      out_->spares.clear();
    }
    out_->next_segment = started_number_ + 1;
  }

  void take_gap() {
    SegmentSummary& segment = out_->segments.back();
    const Gap& gap = reader_.gap();
    // Frames that are missing in front of this segment are no fault of this file.
    if (gap.bytes != 0) segment.damaged = true;
    if (gap.bytes != 0 && gap.last_lsn != 0) {
      if (segment.first_lsn == 0) segment.first_lsn = gap.first_lsn;
      segment.last_lsn = gap.last_lsn;
    }
    out_->next_lsn = std::max(out_->next_lsn, gap.last_lsn + 1);
    add_records(reader_, &segment, out_);
    out_->gaps.push_back(gap);
  }

  Recovered* const out_;
  FrameReader reader_;
  uint64_t started_number_ = 0;
  bool unclean_ = false;  // Bytes behind the end: no spare.
  bool spare_ = false;
  SegmentHeader header_;
  std::vector<SegmentSummary> spare_summaries_;
};

int sync_segment(Disk* disk, const std::string& path) {
  std::unique_ptr<File> file;
  const int error = disk->open(path, OpenMode::write, &file);
  return error != 0 ? error : file->fdatasync();
}

// Keeps a copy of the tail, durable, before it is cut.
Status keep_tail(Disk* disk, const std::string& folder, const TornTail& torn) {
  const std::string kept_path = torn_path(folder, torn.segment);
  const std::string new_path = kept_path + ".new";
  std::unique_ptr<File> from;
  std::unique_ptr<File> to;
  int error = disk->open(segment_path(folder, torn.segment), OpenMode::read, &from);
  if (error == 0) error = disk->open(new_path, OpenMode::create, &to);
  std::string buffer;
  for (uint64_t done = 0; error == 0 && done < torn.bytes;) {
    buffer.resize(std::min<uint64_t>(kCopyBytes, torn.bytes - done));
    const int64_t got = from->pread(buffer.data(), buffer.size(), torn.offset + done);
    if (got <= 0) {
      error = got < 0 ? static_cast<int>(got) : 0;
      break;
    }
    buffer.resize(static_cast<size_t>(got));
    const int64_t put = to->pwrite(buffer, done);
    if (put != got) error = put < 0 ? static_cast<int>(put) : -ENOSPC;
    done += static_cast<uint64_t>(got);
  }
  if (error == 0) error = to->fdatasync();
  if (error == 0) error = disk->rename(new_path, kept_path);
  if (error == 0) error = disk->sync_folder(folder);
  return error == 0 ? Status() : disk_error("keep a torn tail as", kept_path, error);
}

Status cut_tail(Disk* disk, const std::string& folder, const TornTail& torn) {
  const Status kept = keep_tail(disk, folder, torn);
  if (!kept.ok()) return kept;
  const std::string path = segment_path(folder, torn.segment);
  std::unique_ptr<File> file;
  int error = disk->open(path, OpenMode::write, &file);
  if (error == 0) error = file->truncate(torn.offset);
  if (error == 0) error = file->fdatasync();
  return error == 0 ? Status() : disk_error("cut the torn tail of", path, error);
}

}  // namespace

bool Recovered::damaged() const {
  return !header_copies_damaged.empty() ||
         std::any_of(gaps.begin(), gaps.end(), [](const Gap& gap) { return !gap.drained; });
}

Result<Recovered> survey(Disk* disk, const std::string& folder) {
  Recovered out;
  std::vector<std::string> names;
  const int error = disk->list(folder, &names);
  if (error != 0) return disk_error("list the journal's folder", folder, error);
  for (const std::string& name : names) {
    if (name.ends_with(".damaged") || name.ends_with(".torn")) out.kept.push_back(name);
  }
  std::sort(out.kept.begin(), out.kept.end());
  Result<LoadedCheckpoint> checkpoint = load_checkpoint(disk, folder);
  if (!checkpoint.ok()) return checkpoint.status();
  out.checkpoint = checkpoint.take();
  Result<std::vector<Order>> orders = load_orders(disk, folder);
  if (orders.ok()) {
    out.orders = orders.take();
    apply_discards(out.orders, &out.checkpoint.checkpoint);
  } else {
    out.orders_error = orders.status().message();
  }
  Result<std::vector<uint64_t>> numbers = list_segments(disk, folder);
  if (!numbers.ok()) return numbers.status();
  FrameReaderOptions options;
  options.disk = disk;
  options.folder = folder;
  options.segments = numbers.take();
  options.checkpoint = out.checkpoint.checkpoint;
  options.checkpoint_known = out.checkpoint.state == CheckpointState::read;
  const Status read = Surveyor(&out, std::move(options)).run();
  if (!read.ok()) return read;
  out.next_lsn = std::max(out.next_lsn, out.checkpoint.checkpoint.lsn_end());
  out.next_segment = std::max(out.next_segment, out.checkpoint.checkpoint.next_segment);
  Checkpoint& known = out.checkpoint.checkpoint;
  if (out.checkpoint.state != CheckpointState::read) {
    // Drained from the start, wherever that is: what was deleted before is not missing.
    for (const SegmentSummary& segment : out.segments) {
      if (segment.first_lsn == 0) continue;
      known.floor = {segment.first_lsn, 0};
      break;
    }
  }
  known.next_lsn = out.next_lsn;
  known.next_segment = out.next_segment;
  return out;
}

Result<Recovered> recover(Disk* disk, const std::string& folder) {
  Result<Recovered> surveyed = survey(disk, folder);
  if (!surveyed.ok()) return surveyed;
  const Recovered& found = surveyed.value();
  for (const TornTail& torn : found.torn) {
    const Status cut = cut_tail(disk, folder, torn);
    if (!cut.ok()) return cut;
  }
  // A process that was killed between write and sync has left frames in the kernel's memory only.
  for (const SegmentSummary& segment : found.segments) {
    const std::string path = segment_path(folder, segment.number);
    const int error = sync_segment(disk, path);
    if (error != 0) return disk_error("sync", path, error);
  }
  std::vector<std::string> names;
  int error = disk->list(folder, &names);
  for (const std::string& name : names) {
    if (error == 0 && name.ends_with(".new")) error = disk->unlink(folder + "/" + name);
  }
  if (error == 0) error = disk->sync_folder(folder);
  if (error != 0) return disk_error("tidy the journal's folder", folder, error);
  return surveyed;
}

std::string gap_text(const Gap& gap) {
  std::string text = "segment " + std::to_string(gap.segment) + " offset " +
                     std::to_string(gap.offset) + " bytes " + std::to_string(gap.bytes);
  if (gap.first_lsn != 0) {
    text += " frames " + std::to_string(gap.first_lsn) + " to " + std::to_string(gap.last_lsn);
  }
  text += " records lost " + (gap.records ? std::to_string(*gap.records) : "unknown");
  return text + (gap.drained ? " (drained before): " : ": ") + gap.reason;
}

}  // namespace postback::journal
