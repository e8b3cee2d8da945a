#include "journal/segment_maker.h"

#include <algorithm>
#include <cerrno>

namespace postback::journal {

SegmentMaker::SegmentMaker(Disk* disk, std::string folder, const SegmentHeader& header)
    : disk_(disk),
      folder_(std::move(folder)),
      header_(header),
      new_path_(new_segment_path(folder_, header.number)) {}

SegmentMaker::Progress SegmentMaker::step() {
  if (file_ == nullptr) {
    const int error = disk_->open(new_path_, OpenMode::create, &file_);
    if (error != 0) return fail("make", error);
  }
  return written_ < header_.segment_bytes ? write_zeros() : finish();
}

SegmentMaker::Progress SegmentMaker::write_zeros() {
  zeros_.resize(std::min<uint64_t>(kZeroSliceBytes, header_.segment_bytes - written_), '\0');
  const int64_t done = file_->pwrite(zeros_, written_);
  if (done <= 0) return fail("write", done < 0 ? static_cast<int>(done) : -ENOSPC);
  const int error = file_->fdatasync();
  if (error != 0) return fail("sync", error);
  // After a short write the next one tells why, if it cannot go on.
  written_ += static_cast<uint64_t>(done);
  return Progress::more;
}

SegmentMaker::Progress SegmentMaker::finish() {
  std::string().swap(zeros_);
  const std::string block = encode_segment_header(header_);
  const int64_t done = file_->pwrite(block + block, 0);
  if (done != static_cast<int64_t>(2 * block.size())) {
    return fail("write", done < 0 ? static_cast<int>(done) : -ENOSPC);
  }
  int error = file_->fdatasync();
  if (error != 0) return fail("sync", error);
  error = disk_->rename(new_path_, segment_path(folder_, header_.number));
  if (error != 0) return fail("rename", error);
  error = disk_->sync_folder(folder_);
  if (error != 0) {
    // Whether its name would survive a power cut is not known: it takes no frame.
    disk_->unlink(segment_path(folder_, header_.number));
    return fail("sync the folder of", error);
  }
  return Progress::done;
}

SegmentMaker::Progress SegmentMaker::fail(const char* what, int error) {
  status_ = disk_error(what, new_path_, error);
  file_.reset();
  disk_->unlink(new_path_);
  return Progress::failed;
}

}  // namespace postback::journal
