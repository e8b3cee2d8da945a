// One purge of one partner, beside running servers: conversions older than data_retention_days are
// slimmed (purge_rows.h), quarantined postbacks of that age are deleted, and the ids of conversions
// older than dedupe_retention_days are forgotten. What was received stays counted: rows of
// postback_stats are only merged (stats_merge.h), whatever the partner's settings are.
//
// Safe to stop or kill anywhere: each batch is a transaction, and the next purge begins where this
// one left off. By which time: purge_time.h. Thread: one, which it blocks.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/status.h"
#include "base/time.h"
#include "partner/sql_client.h"
#include "postback/partner.h"
#include "retention/purge_lease.h"
#include "retention/purge_pace.h"
#include "retention/purge_rows.h"
#include "retention/purge_time.h"
#include "retention/stats_merge.h"

namespace postback::retention {

struct PurgeCounts {
  int64_t purged = 0;       // Conversions whose row was slimmed.
  int64_t forgotten = 0;    // Ids that are new again when they come.
  int64_t quarantined = 0;  // Quarantined postbacks deleted.
  StatsMergeCounts stats;
};

enum class PurgeOutcome : uint8_t {
  complete,
  nothing_there,  // The partner has no database yet.
  not_due,
  of_another,     // Another program purges this partner.
  stopped,        // Because the pause said so.
  clock_doubted,  // Clocks contradict each other: see refusal().
};

// What a partner's settings mean at a time. Ids are those of rows (ingest::RowIds).
struct PurgeBounds {
  PurgeBounds(const Partner& partner, const PurgeTime& time);
  std::string now;
  std::string purge_before;  // received_at.
  int64_t purge_below_id;
  std::string forget_before;  // Never later than purge_before.
  int64_t forget_below_id;
};

// The partner's database, or null where it does not exist yet; an error also when its tables are
// those of another version.
base::Result<std::unique_ptr<partner::SqlClient>> open_for_purge(const Partner& partner,
                                                                 partner::SqlMode mode,
                                                                 const partner::SqlLimits& limits);

// What tells a purge the time.
struct PurgeWitness {
  std::function<base::TimeView()> time;
  DatabaseTime database = &database_time;
  bool clock_is_trusted = false;  // See PurgeEvidence.
};

PurgeEvidence evidence_of(const PurgeLease& lease, const PurgeWitness& witness, bool by_hand);

class Purge {
 public:
  using Pause = PurgePace::Pause;
  // `holder`: see PurgeLease. `client`, if not null: opened as SqlMode::guest.
  Purge(const Partner& partner, partner::SqlClient* client, int64_t holder,
        const base::Clock* clock, Pause pause, PurgeWitness witness);

  // `only_if_due`: the daily one, which begins a little below the floor; otherwise it looks at all
  // ids, as the preview does. On an error, too, the counts tell what was done.
  base::Result<PurgeOutcome> run(bool only_if_due);
  const PurgeCounts& counts() const { return counts_; }
  const std::string& refusal() const { return refusal_; }  // Of PurgeOutcome::clock_doubted.

 private:
  using Rows = std::vector<FoundRow>;
  using Wanted = bool (*)(const FoundRow& row);
  using Handle = std::function<base::Status(const Rows& rows)>;
  // How far a walk may go, and went.
  struct Extent {
    size_t rows_left;
    int64_t after_id = 0;
    bool to_the_end = false;
  };

  base::Status find_time(bool by_hand);
  base::Result<PurgeOutcome> run_claimed(bool only_if_due);
  base::Status run_phases(bool only_if_due);
  base::Status sweep(int64_t end_id);
  base::Status merge_statistics();
  base::Status walk(PurgeRows::Table table, int64_t from_id, int64_t end_id,
                    const std::string& before, Wanted wanted, const Handle& handle,
                    Extent* extent = nullptr);
  base::Status slim(const Rows& rows);
  base::Status forget(const Rows& rows);
  base::Status remove_quarantined(const Rows& rows);
  base::Status change(const std::function<base::Result<int64_t>()>& transaction, int64_t* count);
  bool may_go_on(base::Status* status);

  const Partner partner_;
  partner::SqlClient* const client_;
  const base::Clock* const clock_;
  PurgePace pace_;
  const PurgeWitness witness_;
  PurgeLease lease_;
  PurgeRows rows_;
  PurgeTime time_;                     // Found first, …
  std::optional<PurgeBounds> bounds_;  // … and what follows from it.
  std::string refusal_;
  PurgeCounts counts_;
  int64_t floor_id_ = 0;
  bool floor_stays_ = false;  // A row was met that is kept, with an id of the past.
  int64_t swept_id_ = 0;
  size_t batch_rows_;
};

}  // namespace postback::retention
