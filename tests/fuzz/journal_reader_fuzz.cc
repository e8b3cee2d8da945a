// Fuzz target of src/journal: any bytes as a segment behind a valid header (or without one), as a
// record, and as a checkpoint. With an odd first byte the CRCs of what looks like a frame are made
// right, so that what lies behind them is reached too. Not part of the Meson build; with clang,
// from the root:
//   clang++-14 -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -Iinclude -Isrc
//     tests/fuzz/journal_reader_fuzz.cc src/base/{crc32c,decimal}.cc
//     src/journal/{checkpoint,disk,frame,frame_reader,reader,record,segment,segment_scan}.cc
//     -o journal_reader_fuzz && ./journal_reader_fuzz tests/fuzz/corpus/journal_reader
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include "base/check.h"
#include "base/crc32c.h"
#include "journal/bytes.h"
#include "journal/reader.h"

namespace {

using namespace postback::journal;

constexpr uint64_t kSalt = 0x1122334455667788;
constexpr uint64_t kBytes = 64 * 1024;

// A folder with one segment in memory.
class OneFile final : public File {
 public:
  explicit OneFile(const std::string* bytes) : bytes_(bytes) {}
  int64_t pwrite(std::string_view, uint64_t) override { return -EIO; }
  int64_t pread(char* out, size_t size, uint64_t offset) override {
    if (offset >= bytes_->size()) return 0;
    const size_t count = std::min<uint64_t>(size, bytes_->size() - offset);
    std::memcpy(out, bytes_->data() + offset, count);
    return static_cast<int64_t>(count);
  }
  int fdatasync() override { return -EIO; }
  int truncate(uint64_t) override { return -EIO; }
  int64_t size() override { return static_cast<int64_t>(bytes_->size()); }

 private:
  const std::string* const bytes_;
};

class OneFileDisk final : public Disk {
 public:
  std::string bytes;
  int open(const std::string&, OpenMode, std::unique_ptr<File>* file) override {
    *file = std::make_unique<OneFile>(&bytes);
    return 0;
  }
  int rename(const std::string&, const std::string&) override { return -EIO; }
  int unlink(const std::string&) override { return -EIO; }
  int make_folder(const std::string&) override { return -EIO; }
  int sync_folder(const std::string&) override { return -EIO; }
  int list(const std::string&, std::vector<std::string>*) override { return -EIO; }
  int space(const std::string&, Space*) override { return -EIO; }
  int lock(const std::string&, std::unique_ptr<Lock>*) override { return -EIO; }
};

// Makes magic, salt and CRCs right wherever a frame may start, and those of its first record.
void mend(std::string* bytes) {
  for (size_t at = kFramesOffset; at + kFrameHeaderBytes <= bytes->size(); at += kBlockBytes) {
    char* frame = bytes->data() + at;
    if (frame[0] != 'P') continue;
    std::memcpy(frame, "PBJF", 4);
    put<uint64_t>(frame + 32, kSalt);
    const size_t room = bytes->size() - at - kFrameHeaderBytes;
    const size_t payload = std::min<size_t>(get<uint32_t>(frame + 52), room);
    char* record = frame + kFrameHeaderBytes;
    if (payload >= kRecordPrefixBytes) {
      const auto size = get<uint32_t>(record);
      if (size >= kRecordPrefixBytes && size <= payload) {
        const std::string_view covered(record + 8, size - 8);
        put<uint32_t>(record + 4, postback::base::crc32c(covered));
      }
    }
    put<uint32_t>(frame + 56, postback::base::crc32c(std::string_view(record, payload)));
    const std::string_view header(frame + 8, kFrameHeaderBytes - 8);
    put<uint32_t>(frame + 4, postback::base::crc32c(header));
  }
}

void read_segment(std::string_view input, bool mended) {
  OneFileDisk disk;
  SegmentHeader header;
  header.number = 1;
  header.segment_bytes = kBytes;
  header.salt = kSalt;
  const std::string block = encode_segment_header(header);
  disk.bytes = block + block + std::string(input.substr(0, kBytes - kFramesOffset));
  if (mended) mend(&disk.bytes);
  ReaderOptions options;
  options.frames.disk = &disk;
  options.frames.segments = {1, 2};  // The same twice: frames that were there already.
  options.include_drained = true;
  Reader reader(std::move(options));
  size_t steps = 0;
  for (ReaderStep step = reader.next(); step != ReaderStep::end; step = reader.next()) {
    CHECK(step != ReaderStep::failed);
    // No more records and gaps than could stand in that many bytes.
    CHECK(++steps <= 2 * (kBytes / kRecordPrefixBytes + kBytes / kBlockBytes) + 4);
    if (step != ReaderStep::record) continue;
    // What was decoded encodes to a record that decodes to the same.
    std::string again;
    CHECK(append_record(reader.conversion(), &again));
    postback::Conversion copy;
    CHECK(decode_record(again, &copy) == RecordFault::none);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  read_segment(input, (data[0] & 1) != 0);
  postback::Conversion conversion;
  static_cast<void>(decode_record(input, &conversion));
  Checkpoint checkpoint;
  if (decode_checkpoint(input, &checkpoint)) {
    Checkpoint again;
    CHECK(decode_checkpoint(encode_checkpoint(checkpoint), &again) && again == checkpoint);
  }
  std::string mended(input);
  if (mended.size() >= 4) {
    const size_t covered = mended.size() - 4;
    const uint32_t crc = postback::base::crc32c(std::string_view(mended).substr(0, covered));
    put<uint32_t>(mended.data() + covered, crc);
    static_cast<void>(decode_checkpoint(mended, &checkpoint));
  }
  return 0;
}
