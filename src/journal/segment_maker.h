// Makes a spare segment in slices: zeros, each slice synced, then the header, then its real name,
// then the folder. Only after the last step may it take a frame. On any error the unfinished file
// is removed, never reused.
#pragma once

#include <memory>
#include <string>

#include "base/status.h"
#include "journal/disk.h"
#include "journal/segment.h"

namespace postback::journal {

class SegmentMaker {
 public:
  enum class Progress : uint8_t { more, done, failed };

  SegmentMaker(Disk* disk, std::string folder, const SegmentHeader& header);
  // Writes at most kZeroSliceBytes, or does the rest. After done: take_file().
  Progress step();
  std::unique_ptr<File> take_file() { return std::move(file_); }
  const SegmentHeader& header() const { return header_; }
  const base::Status& status() const { return status_; }  // After failed.

 private:
  Progress fail(const char* what, int error);
  Progress write_zeros();
  Progress finish();

  Disk* const disk_;
  const std::string folder_;
  const SegmentHeader header_;
  const std::string new_path_;
  std::unique_ptr<File> file_;
  std::string zeros_;
  uint64_t written_ = 0;
  base::Status status_;
};

}  // namespace postback::journal
