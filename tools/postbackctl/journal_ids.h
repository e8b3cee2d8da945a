// Quarantined postbacks that the journal of this DATA_DIR may bring into the database once more: a
// server that dies between storing a record and noting it stores it again when it starts. A retry
// leaves them alone until they are noted, or what it moved would be in the quarantine again.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "base/settings.h"
#include "base/status.h"

namespace postback::postbackctl {

// What a row that is left alone is counted under.
constexpr const char* kStaysInJournal = "in_journal";

class JournalIds {
 public:
  // Reads the journal, which takes some 2 s per GB that is not drained. A DATA_DIR without one has
  // no ids.
  static base::Result<JournalIds> load(const base::Settings& settings);
  bool holds(int64_t row_id) const { return std::binary_search(ids_.begin(), ids_.end(), row_id); }

 private:
  std::vector<int64_t> ids_;  // Ascending.
};

}  // namespace postback::postbackctl
