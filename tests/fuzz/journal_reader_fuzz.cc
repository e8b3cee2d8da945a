// Fuzz target of the journal's reader: any bytes as a segment behind a valid header, and as a
// record. With an odd first byte the CRCs of what looks like a frame are made right.
#include <cerrno>

#include "input.h"
#include "journal/reader.h"
#include "journal_input.h"

namespace {

using namespace postback::journal;

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
  bool has_name() override { return true; }

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

// What was decoded encodes to a record that decodes to the same, byte for byte.
void check_round_trip(const postback::Conversion& conversion, const Owner& owner) {
  std::string bytes;
  CHECK(append_record(conversion, owner, &bytes));
  RecordPrefix prefix;
  CHECK(read_prefix(bytes, &prefix) == RecordFault::none);
  CHECK(prefix.size == bytes.size() && record_crc_valid(bytes));
  CHECK(prefix.owner == owner && owner.partner_id == conversion.partner_id);
  postback::Conversion copy;
  CHECK(decode_record(bytes, &copy) == RecordFault::none);
  std::string again;
  CHECK(append_record(copy, owner, &again) && again == bytes);
}

void read_segment(std::string_view frames, bool mended) {
  OneFileDisk disk;
  disk.bytes = segment_of(frames, 1, mended);
  ReaderOptions options;
  options.frames.disk = &disk;
  options.frames.segments = {1, 2};  // The same twice: frames that were there already.
  options.include_drained = true;
  Reader reader(std::move(options));
  size_t steps = 0;
  size_t restarts = 0;
  Position last;
  for (ReaderStep step = reader.next(); step != ReaderStep::end; step = reader.next()) {
    CHECK(step != ReaderStep::failed);
    // No more records and gaps than could stand in that many bytes.
    CHECK(++steps <=
          2 * (kFuzzSegmentBytes / kRecordPrefixBytes + kFuzzSegmentBytes / kBlockBytes) + 4);
    if (step == ReaderStep::gap) {
      CHECK(reader.gap().bytes <= kFuzzSegmentBytes && !reader.gap().reason.empty());
      continue;
    }
    // In order, but for where the second reading begins.
    restarts += last < reader.position() ? 0 : 1;
    CHECK(restarts <= 1);
    last = reader.position();
    check_round_trip(reader.conversion(), reader.owner());
  }
}

// A record has one form only: what is read of it encodes to the same bytes.
void read_record(std::string_view bytes) {
  postback::Conversion conversion;
  if (decode_record(bytes, &conversion) != RecordFault::none) return;
  RecordPrefix prefix;
  CHECK(read_prefix(bytes, &prefix) == RecordFault::none);
  check_round_trip(conversion, prefix.owner);
  std::string again;
  CHECK(append_record(conversion, prefix.owner, &again) && again == bytes);
}

// The bytes with the size and the CRC that they should have as a record.
std::string mended_record(std::string_view bytes) {
  std::string record(bytes);
  if (record.size() < kRecordPrefixBytes || record.size() > kRecordBytesMax) return record;
  put<uint32_t>(record.data(), static_cast<uint32_t>(record.size()));
  put<uint32_t>(record.data() + 4, postback::base::crc32c(std::string_view(record).substr(8)));
  return record;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view input = postback::fuzz::text_of(data + 1, size - 1);
  read_segment(input, (data[0] & 1) != 0);
  read_record(input);
  read_record(mended_record(input));
  return 0;
}
