#include "ingest/failover_tail.h"

#include "base/check.h"
#include "journal/record.h"

namespace postback::ingest {
namespace {

// A piece holds the rows of so long: small beside the whole tail, and few pieces.
constexpr uint64_t kPieceNs = 100'000'000;

}  // namespace

void FailoverTail::add(const Conversion& conversion, uint64_t now_ns) {
  if (pieces_.empty() || now_ns > pieces_.back().time_ns + kPieceNs) {
    pieces_.push_back({now_ns, {}});
  }
  std::string& records = pieces_.back().records;
  const size_t before = records.size();
  // What is too large for a record is too large for the journal, and was stored all the same.
  if (!journal::append_record(conversion, journal::Owner(), &records)) return;
  byte_count_ += records.size() - before;
  while (pieces_.size() > 1 &&
         (byte_count_ > kBytesMax || now_ns > pieces_.front().time_ns + kPieceNs + keep_ns_)) {
    byte_count_ -= pieces_.front().records.size();
    pieces_.pop_front();
  }
}

bool FailoverTail::next(std::string_view* rest, Conversion* row) {
  if (rest->empty()) return false;
  journal::RecordPrefix prefix;
  CHECK(journal::read_prefix(*rest, &prefix) == journal::RecordFault::none);
  row->clear();
  CHECK(journal::decode_record(rest->substr(0, prefix.size), row) == journal::RecordFault::none);
  rest->remove_prefix(prefix.size);
  return true;
}

}  // namespace postback::ingest
