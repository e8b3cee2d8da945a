// Moves rows from postback_quarantine to partner_conversions, with what that changes in
// postback_stats, beside any number of running servers. Blocking.
//
// What a moved row means for the statistics: its conversion, or its repeat, counts in the minute in
// which it was received, as if the mapping had been right then; and `quarantined` is one less
// there, so that /stats tells how many of the postbacks received in its window are in quarantine.
// received = conversions + duplicates + quarantined holds as before.
#pragma once

#include <cstdint>
#include <map>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "partner/sql_client.h"
#include "postback/conversion.h"
#include "postback/store.h"

namespace postback::postbackctl {

// Our rows of postback_stats. Servers take random positive numbers, merged rows have 0; two of us
// at once add to the same rows, which each statement does in one step.
constexpr int64_t kRetryWriter = -1;

enum class MoveResult : uint8_t {
  pending,
  stored,     // Is a conversion now.
  duplicate,  // A conversion of the same id is stored; the row left the quarantine.
  gone,       // Was in quarantine no more: another retry was quicker.
};

struct Move {
  const Conversion* conversion = nullptr;  // Its id is the quarantine row's.
  MoveResult result = MoveResult::pending;
};

class QuarantineMover {
 public:
  // `client`: opened as SqlMode::guest, or read where only is_stored() is asked.
  QuarantineMover(partner::SqlClient* client, int32_t partner_id)
      : client_(client), partner_id_(partner_id) {}

  // Whether the tables are those that this program knows.
  base::Status check_schema();
  base::Result<bool> is_stored(std::string_view conversion_id);

  // All or nothing, in one transaction; the results count only when it is ok. Otherwise *refused
  // tells whether a row was refused: then it may work without that one.
  base::Status move(std::vector<Move>* moves, bool* refused);

 private:
  bool is_sqlite() const { return client_->kind() == base::DatabaseKind::sqlite; }
  base::Status move_rows(std::vector<Move>* moves);
  base::Status take_from_quarantine(Move* move);
  base::Result<int64_t> free_id(const Conversion& conversion);
  base::Status insert(Move* move);
  void count(const Move& move);

  partner::SqlClient* client_;
  int32_t partner_id_;
  std::string now_;                       // Of the transaction, as the databases take it.
  std::map<int64_t, StoreStats> deltas_;  // By minute. Of the transaction.
};

}  // namespace postback::postbackctl
