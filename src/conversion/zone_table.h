// What a zone file says: when the offset of a zone from UTC changed, and by which rule it goes on
// changing. The format is TZif (RFC 9636), version 1 to 4, "fat" (changes written out up to 2037)
// or "slim" (only those that no rule tells). Immutable; any thread.
//
// Not absl::LoadTimeZone(), although Abseil is here: it remembers a zone that it could not read as
// unknown until the process ends, takes a damaged file's word for how much memory it needs, and
// reads any path as a name.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "conversion/zone_rule.h"

namespace postback::conversion {

class ZoneTable {
 public:
  // The bytes of a whole file. An error says what is wrong with them, to be put behind the file's
  // name: "does not begin like a time zone file".
  static base::Result<ZoneTable> parse(std::string_view bytes);

  // The offset from UTC by which a local time is read; see ZoneRule::at().
  int32_t offset_s(int64_t local_s) const;

 private:
  friend class ZoneTableParser;

  struct Change {
    int64_t local_from_s;  // From this local time on the offset is
    int32_t offset_s;      // this.
  };

  int32_t first_offset_s_ = 0;    // Before the first change.
  std::vector<Change> changes_;   // In order.
  std::optional<ZoneRule> rule_;  // Behind the last change.
};

}  // namespace postback::conversion
