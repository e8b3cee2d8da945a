// Merges old rows of postback_stats, so that /stats costs the same for any window: those of all
// writers of an hour into one row, and those of a day into one when they are older still
// (stats_window.h). Sums stay exact for whoever reads or writes meanwhile: a transaction deletes
// the rows of one hour (day) and adds their sums to the merged row, which no writer writes. A
// writer may add rows to a merged hour at any time (a journal is drained, a quarantine is retried);
// they count beside the merged row and are merged by the next purge.
//
// A row that nobody can read (edited by hand) is left, with what else is in its hour or day: run()
// merges the rest and tells of it at the end.
//
// Finding what is left to merge is a walk over the keys of one partner, which are few when the past
// is merged.
//
// Thread: the client's. Blocking.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/status.h"
#include "partner/sql_client.h"
#include "retention/purge_pace.h"
#include "retention/stats_window.h"

namespace postback::retention {

// Of merged rows. Lanes take positive numbers, postbackctl's retry a negative one.
constexpr int64_t kMergedWriter = 0;

struct StatsMergeCounts {
  int64_t hours = 0;  // Merged, and then days.
  int64_t days = 0;
};

class StatsMerge {
 public:
  // All outlive it. `may_go_on`: whether the partner is still ours; asked before each transaction.
  using MayGoOn = std::function<bool(base::Status*)>;
  StatsMerge(partner::SqlClient* client, int32_t partner_id, int64_t now_us);

  // Until all is merged, or the pace or `may_go_on` says stop. *counts tells what was done on an
  // error, too.
  base::Status run(PurgePace* pace, const base::Clock* clock, const MayGoOn& may_go_on,
                   StatsMergeCounts* counts);
  // What run() would merge now.
  base::Result<StatsMergeCounts> preview();

 private:
  struct Page {
    std::vector<int64_t> starts;  // Of hours (days) with something to merge.
    int64_t next_us = 0;
    bool is_last = false;
  };

  base::Status run_level(StatsLevel level, PurgePace* pace, const base::Clock* clock,
                         const MayGoOn& may_go_on, int64_t* count);
  base::Result<Page> find(StatsLevel level, int64_t from_us);
  base::Result<int64_t> merge(StatsLevel level, int64_t start_us);
  base::Status unreadable(const std::string& what);
  base::Result<int64_t> merge_in_postgresql(const std::vector<partner::SqlText>& range);
  base::Result<int64_t> merge_in_sqlite(const std::vector<partner::SqlText>& range);

  partner::SqlClient* const client_;
  const int32_t partner_id_;
  const int64_t now_us_;
  const std::string of_range_;
  const bool is_sqlite_;
  base::Status unreadable_;       // Of the first such row.
  int64_t unreadable_count_ = 0;  // Hours and days that are left because of one.
};

}  // namespace postback::retention
