// The rows of one partner that a purge is about, and the transactions that change them.
//
// A conversion whose time is over is slimmed: its row stays, with its id under the unique index,
// and everything else in it becomes NULL; purged_at tells since when. So the one index that
// recognises a repeat recognises that of a purged conversion too, and the path of a new postback
// has nothing more to look at. ARCHITECTURE.md has the alternatives and their measurements.
//
// Thread: the client's. Blocking.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/status.h"
#include "partner/sql_client.h"

namespace postback::retention {

struct FoundRow {
  int64_t id = 0;
  bool is_ours = false;   // Of the partner: several may share a database.
  bool is_over = false;   // Received before the time given.
  bool is_slim = false;   // A conversion that is purged already.
  bool is_extra = false;  // Marked is_duplicate: not under the unique index.
};

using RowIdList = std::vector<int64_t>;

class PurgeRows {
 public:
  PurgeRows(partner::SqlClient* client, int32_t partner_id);

  enum class Table : uint8_t { conversions, quarantine };
  // The next rows above `after_id` and below `end_id`, whoever's, in the order of their ids; so a
  // call costs the same wherever the partner's own rows stand. `before`: see time_text().
  base::Result<std::vector<FoundRow>> find(Table table, int64_t after_id, int64_t end_id,
                                           const std::string& before, size_t row_count_max);

  // The rows in the order in which slim() should get them, each part in a transaction of its own:
  // PostgreSQL writes a changed row anew, and if it finds room on the row's own page it need not
  // touch the indexes (a "HOT" update). A page of full rows has no room; so a few of each page go
  // first, then those that fit in the room these left, then the rest.
  std::vector<RowIdList> slim_parts(const RowIdList& ids) const;

  // Each of these is one transaction, changes only rows of the partner received before the time,
  // and tells how many.
  base::Result<int64_t> slim(const RowIdList& ids, const std::string& before,
                             const std::string& now);
  base::Result<int64_t> remove_extra(const RowIdList& ids, const std::string& before);
  base::Result<int64_t> forget(const RowIdList& ids, const std::string& before);
  base::Result<int64_t> remove_quarantined(const RowIdList& ids, const std::string& before);

 private:
  base::Result<int64_t> change(const std::string& sql, const std::vector<partner::SqlText>& values);
  base::Status join_pages(const RowIdList& ids, const std::string& now);
  base::Status insert_again(const partner::SqlRow& row);
  std::string of_ours(const RowIdList& ids) const;

  partner::SqlClient* client_;
  const std::string partner_id_;
  const bool is_sqlite_;
};

// Begins a transaction of a purge, with the settings it needs in PostgreSQL.
base::Status begin_purge(partner::SqlTransaction* transaction, partner::SqlClient* client);

// A time as a parameter of both kinds of database.
std::string time_text(int64_t time_us);

}  // namespace postback::retention
