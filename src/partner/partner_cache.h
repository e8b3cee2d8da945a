// Keeps the partners of the control database in a file of DATA_DIR, `partners.cache`, so that a
// server can start while the control database is away. cache_text.h has the format.
//
// The file holds the passwords of partners' databases: it is for its owner only. It names its
// control database and is never used for another. Losing it costs nothing but that start.
//
// Owned and used by one thread at a time. Blocks as long as the disk does.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/status.h"
#include "base/time.h"
#include "partner/effective_url.h"
#include "partner/partner_rows.h"
#include "partner/partner_table.h"

namespace postback::partner {

struct CachedPartners {
  Partners rows;  // At least one partner.
  // When they were last seen to be those of the control database, to the minute; wall clock.
  int64_t confirmed_us = 0;
};

class PartnerCache {
 public:
  // `control` names the control database, without secrets; one line.
  PartnerCache(DatabaseHome home, std::string control,
               const base::Clock* clock = &base::system_clock());

  // Whenever the control database was looked at: `table` is what it holds. Writes the file when it
  // says something else, and otherwise, once a minute, that it is still true (its modification
  // time). A failure is told once a minute too.
  base::Status keep(const std::shared_ptr<const PartnerTable>& table);
  // An error says why the file cannot be used.
  base::Result<CachedPartners> load() const;

  const std::string& path() const { return path_; }

 private:
  base::Status write(const PartnerTable& table);
  base::Status confirm();

  const DatabaseHome home_;
  const std::string control_;
  const std::string path_;
  const base::Clock* const clock_;
  std::shared_ptr<const PartnerTable> kept_;  // What the file says; nullptr: not known to us.
  std::shared_ptr<const PartnerTable> seen_;  // The last one that was to be kept.
  uint64_t next_ns_ = 0;                      // When the same table is looked at again.
};

}  // namespace postback::partner
