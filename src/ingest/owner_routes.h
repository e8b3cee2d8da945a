// To which partner the journal's records go. A record goes to the partner that has its id in the
// control database that made the record, under the code that it had then or has had since; or to
// the one that a person has assigned it to. What matches nobody, or a partner that is switched off,
// is held: it stays in the journal, and is told.
//
// Owner and thread: the drain.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "ingest/backlog.h"
#include "journal/checkpoint.h"
#include "journal/orders.h"
#include "journal/owner.h"
#include "partner/partner_table.h"

namespace postback::ingest {

// How the records of this partner's lanes are marked.
journal::Owner owner_of(const Partner& partner);
// The records are this partner's, without anybody's order.
bool belongs_to(const journal::Owner& owner, const Partner& partner);

enum class HoldReason : uint8_t {
  inactive,        // The partner is switched off.
  no_partner,      // The control database has none of this id and code.
  other_registry,  // Another control database made the records.
};
// "inactive", "no_partner", "other_control_database".
const char* hold_reason_name(HoldReason reason);
// What an operator can do about it.
std::string hold_remedy(const journal::Owner& owner, HoldReason reason);

// Why the records go nowhere; judged by the partners alone, so that a tool may ask as well.
// False: they are not held.
bool is_held(const journal::Owner& owner, const partner::PartnerTable& table, HoldReason* reason);

struct Hold {
  journal::Owner owner;
  HoldReason reason = HoldReason::no_partner;
  const PartnerBacklog* backlog = nullptr;
};

// Records of `owner` in front of `limit` go to the partner that has the source.
struct Source {
  journal::Owner owner;
  journal::Position limit{UINT64_MAX, 0};
  PartnerBacklog* backlog = nullptr;
};

class OwnerRoutes {
 public:
  // Judges every owner of the backlog anew.
  void build(const std::shared_ptr<const partner::PartnerTable>& table,
             const std::vector<journal::Order>& orders, const journal::Checkpoint& checkpoint,
             Backlog* backlog);
  // build() would say something else: these are not what it was made of.
  bool is_old(const std::shared_ptr<const partner::PartnerTable>& table,
              const Backlog& backlog) const;
  // An assignment is fulfilled: what follows of its owner goes its own way.
  void forget() { table_.reset(); }

  // Moves the counts of records that go to a partner under another mark than its own to where its
  // lanes count.
  void claim(Backlog* backlog) const;

  // Those of one partner; empty: no owner of that partner has had a record.
  const std::vector<Source>& sources(int32_t partner_id) const;
  const std::vector<Hold>& holds() const { return holds_; }

 private:
  std::shared_ptr<const partner::PartnerTable> table_;
  size_t owner_count_ = 0;
  std::map<int32_t, std::vector<Source>> sources_;
  std::map<int32_t, journal::Owner> own_;  // By partner: its lanes' mark.
  std::vector<Hold> holds_;
};

}  // namespace postback::ingest
