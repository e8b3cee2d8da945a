// The records of a journal in the order in which they were acknowledged, from a checkpoint on.
// Blocking; one thread at a time; memory: one frame and one conversion, whatever is on the disk.
#pragma once

#include <optional>

#include "journal/frame_reader.h"
#include "journal/record.h"
#include "postback/conversion.h"

namespace postback::journal {

enum class ReaderStep : uint8_t {
  record,  // conversion(), position()
  gap,     // gap(): acknowledged records are lost; those behind it follow.
  end,
  failed,  // status()
};

struct ReaderOptions {
  FrameReaderOptions frames;     // With the checkpoint from which to read.
  std::optional<Owner> owner;    // Only this one's records.
  bool include_drained = false;  // Those that the checkpoint calls drained too.
};

class Reader {
 public:
  explicit Reader(ReaderOptions options);

  ReaderStep next();

  // Valid until next().
  const Conversion& conversion() const { return conversion_; }
  const Owner& owner() const { return prefix_.owner; }
  Position position() const { return position_; }  // Of the record.
  // Where to go on behind it: drained up to here when this record is.
  Position position_after() const { return {position_.lsn, position_.record + 1}; }
  bool drained() const { return drained_; }  // By the checkpoint.
  const Gap& gap() const { return gap_; }
  uint64_t segment() const { return frames_.segment(); }  // Where next() was; 0: nowhere yet.
  const base::Status& status() const { return frames_.status(); }

 private:
  bool take_record(const FrameRecord& record);
  ReaderStep report(const FrameRecord& record, RecordFault fault);

  const ReaderOptions options_;
  FrameReader frames_;
  size_t next_record_ = 0;  // In frames_.records().
  RecordFault fault_ = RecordFault::none;
  RecordPrefix prefix_;
  Position position_;
  bool drained_ = false;
  Conversion conversion_;
  Gap gap_;
};

}  // namespace postback::journal
