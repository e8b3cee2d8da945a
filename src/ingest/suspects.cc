#include "ingest/suspects.h"

#include <algorithm>

#include "ingest/limits.h"

namespace postback::ingest {
namespace {

// After so long a row that failed alone is tried again although nothing else was stored meanwhile:
// the database may be mended, and no other row may come. Doubles with each attempt, since a row at
// which a server crashes hurts everybody there.
constexpr uint64_t kRetryNs = 500'000'000;
constexpr uint32_t kRetryDoublings = 4;  // 8 s.
constexpr size_t kNoSuspect = SIZE_MAX;

// Neither kind of key is ever the other: the first byte tells them apart.
void set_key(const Postback& row, std::string* key) {
  const Conversion& conversion = row.conversion;
  if (conversion.reason == Reason::none) {
    key->assign("c").append(conversion.text(Field::conversion_id));
  } else {
    key->assign("q").append(std::to_string(conversion.id));
  }
}

}  // namespace

void Suspects::failed(const Flight& flight, uint64_t now_ns) {
  const size_t row_count = flight.row_count();
  if (row_count == 0) return;
  failed_ns_ = now_ns;
  if (rows_.size() + row_count > kRowsMax) {
    rows_.clear();
    alone_count_ = 0;
  }
  for (const auto* rows : {&flight.postbacks, &flight.quarantined_postbacks}) {
    for (const Postback* row : *rows) {
      set_key(*row, &key_);
      const auto [place, is_new] = rows_.try_emplace(key_);
      Entry& entry = place->second;
      const bool took_others = !is_new && stored_ > entry.stored_then;
      if (row_count == 1 && flight.is_suspect) {
        if (entry.failures == 0) ++alone_count_;
        if (entry.failures == 0 || took_others) ++entry.failures;
        ++entry.attempts;
        entry.behind_others = took_others;
      }
      entry.group_rows = std::max<size_t>(1, row_count / kBatchCut);
      entry.stored_then = stored_;
      entry.failed_ns = now_ns;
      entry.error = flight.error;
    }
  }
}

void Suspects::committed(const Flight& flight, uint64_t now_ns) {
  if (flight.inserted) ++stored_;
  if (rows_.empty()) return;
  if (now_ns > failed_ns_ + kKeptNs) {
    rows_.clear();
    alone_count_ = 0;
    return;
  }
  for (const auto* rows : {&flight.postbacks, &flight.quarantined_postbacks}) {
    for (const Postback* row : *rows) erase(*row);
  }
}

void Suspects::forget(const Postback& row) {
  if (!rows_.empty()) erase(row);
}

size_t Suspects::arrange(Flight* flight) {
  if (flight->row_count() == 0 || rows_.empty()) return flight->row_count();
  const size_t conversions = arrange_rows(&flight->postbacks);
  const size_t quarantined = arrange_rows(&flight->quarantined_postbacks);
  if (flight->postbacks.empty()) return quarantined;
  if (conversions < flight->postbacks.size() || group_of(*flight->postbacks[0]) != kNoSuspect) {
    return conversions;
  }
  const bool joins = quarantined > 0 && group_of(*flight->quarantined_postbacks[0]) == kNoSuspect;
  return conversions + (joins ? quarantined : 0);
}

// How many rows at the front may go together, after they were put there.
size_t Suspects::arrange_rows(std::vector<Postback*>* rows) {
  if (rows->empty()) return 0;
  std::stable_sort(rows->begin(), rows->end(), [this](const Postback* a, const Postback* b) {
    const size_t a_group = group_of(*a);
    const size_t b_group = group_of(*b);
    if (a_group != b_group) return a_group > b_group;
    const Entry* a_entry = find(*a);
    const uint32_t a_failures = a_entry == nullptr ? 0 : a_entry->failures;
    const Entry* b_entry = find(*b);
    return a_failures < (b_entry == nullptr ? 0 : b_entry->failures);
  });
  const size_t group = group_of(*rows->front());
  const auto end = std::find_if(rows->begin(), rows->end(),
                                [&](const Postback* row) { return group_of(*row) != group; });
  return std::min(group, static_cast<size_t>(end - rows->begin()));
}

bool Suspects::may_try(const Postback& row, uint64_t now_ns) {
  const Entry* entry = find(row);
  if (entry == nullptr || entry->failures == 0 || stored_ > entry->stored_then) return true;
  return now_ns >= entry->failed_ns + (kRetryNs << std::min(entry->attempts, kRetryDoublings));
}

bool Suspects::is_refused(const Postback& row) {
  const Entry* entry = find(row);
  return entry != nullptr && entry->failures >= kFailuresMax && stored_ > entry->stored_then;
}

bool Suspects::is_behind_others(const Postback& row) {
  const Entry* entry = find(row);
  return entry != nullptr && entry->failures > 0 && entry->behind_others;
}

std::string Suspects::error(const Postback& row) {
  const Entry* entry = find(row);
  return entry == nullptr ? std::string() : entry->error;
}

Suspects::Entry* Suspects::find(const Postback& row) {
  if (rows_.empty()) return nullptr;
  set_key(row, &key_);
  const auto place = rows_.find(key_);
  return place == rows_.end() ? nullptr : &place->second;
}

void Suspects::erase(const Postback& row) {
  set_key(row, &key_);
  const auto place = rows_.find(key_);
  if (place == rows_.end()) return;
  if (place->second.failures > 0) --alone_count_;
  rows_.erase(place);
}

size_t Suspects::group_of(const Postback& row) {
  const Entry* entry = find(row);
  return entry == nullptr ? kNoSuspect : entry->group_rows;
}

}  // namespace postback::ingest
