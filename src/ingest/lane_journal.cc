// The lane and the journal: where postbacks go while their database is away or late. How the
// records come back is told in lane_replay.cc.
//
// A postback that the store works on may be in the journal as well, when the store is late. It then
// has the same row id in both places, so the database takes it once, whichever is first. It is
// answered by what comes first, and goes back to its core when the store is done with it.
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "ingest/lane.h"
#include "ingest/limits.h"
#include "ingest/owner_routes.h"

namespace postback::ingest {

LaneHealth Lane::health() const {
  if (health_ != LaneHealth::up || backlog_ == nullptr) return health_;
  return backlog_->waiting() > 0 ? LaneHealth::draining : LaneHealth::up;
}

// What an earlier process acknowledged is known, although it is not in the database yet.
void Lane::learn_recovered_ids() {
  std::vector<const PartnerBacklog*> owners;  // The backlog's lock is held for a look only.
  environment_.backlog->for_each([&](const journal::Owner& owner, const PartnerBacklog& counts) {
    if (belongs_to(owner, partner_)) owners.push_back(&counts);
  });
  for (const PartnerBacklog* counts : owners) {
    const std::shared_ptr<const IdList> list = counts->recovered_ids();
    if (list == nullptr) continue;
    list->for_each([this, counts](std::string_view id) {
      if (slice_of(partner_, id) != slice_ || counts->is_recovered_id_forgotten(id)) return;
      memory_.add_journaled(id);
    });
  }
}

// Records that an earlier code of the partner, or another control database, marked count as well:
// learn_recovered_ids() has their ids.
bool Lane::journal_has_records() const {
  bool any = false;
  environment_.backlog->for_each([&](const journal::Owner& owner, const PartnerBacklog& counts) {
    any |= counts.waiting() > 0 && belongs_to(owner, partner_);
  });
  return any;
}

void Lane::spill(Postback& postback) {
  if (!spill_.add(postback, environment_.loop->now_ns())) give_up(postback);
}

// Neither the database nor the journal takes it.
void Lane::give_up(Postback& postback) {
  if (postback.conversion.reason == Reason::none) {
    finish_first(postback, Outcome::unavailable);
  } else {
    finish(postback, Outcome::unavailable);
  }
}

// The journal's answer.
void Lane::spilled(const std::vector<Postback*>& postbacks, const std::vector<int64_t>& forgotten,
                   bool durable) {
  if (durable) {
    const int64_t oldest_us = postbacks.empty() ? 0 : postbacks[0]->conversion.received_at_us;
    backlog_->add(postbacks.size(), oldest_us);
  } else {
    backlog_->forget_settled(forgotten);  // No record of theirs will be met.
  }
  for (Postback* postback : postbacks) {
    if (postback->replay != nullptr) {
      finish(*postback, durable ? Outcome::accepted : Outcome::unavailable);
      continue;
    }
    if (!durable) {
      not_spilled(*postback);
      continue;
    }
    postback->journaled = true;
    const bool is_conversion = postback->conversion.reason == Reason::none;
    const Outcome outcome = is_conversion ? Outcome::accepted : Outcome::quarantined;
    if (is_conversion) {
      memory_.add_journaled(postback->conversion.text(Field::conversion_id));
      finish_waiters(*postback, outcome);
    }
    if (postback->with_store) {
      answer_early(*postback, outcome);
    } else {
      finish(*postback, outcome);
    }
  }
  update_away();
  mark_dirty();
}

// The journal does not take the postback: it goes the way it would go without a journal.
void Lane::not_spilled(Postback& postback) {
  if (postback.with_store) {
    --spilled_with_store_;  // The store may take it yet.
  } else if (health_ != LaneHealth::down && !retiring_) {
    append(open_.get(), postback);
  } else {
    give_up(postback);
  }
}

bool Lane::is_late(uint64_t now_ns) const {
  const uint64_t limit_ns = environment_.budget_ns / kBudgetPartDenominator * kBudgetPartNumerator;
  const auto late = [&](const Flight& flight) { return now_ns > flight.begun_ns + limit_ns; };
  return (!submitted_.empty() && late(*submitted_.front())) ||
         (!waiting_.empty() && late(*waiting_.front())) || (open_->row_count() > 0 && late(*open_));
}

void Lane::watch_budget(uint64_t now_ns) {
  if (!spill_.available() || health_ == LaneHealth::down) return;
  // A journal that takes nothing helps no postback: a late database serves as without a journal.
  if (!is_late(now_ns) || !spill_.takes()) {
    set_health(LaneHealth::up);
    return;
  }
  set_health(LaneHealth::suspect);
  clear_waiting();
  spill_submitted();
  update_away();
  mark_dirty();
}

// Copies of what the store works on. What the database confirms later is remembered until the
// drain has passed its record; so there is a bound.
void Lane::spill_submitted() {
  const uint64_t now_ns = environment_.loop->now_ns();
  for (const auto& flight : submitted_) {
    if (flight->replay != nullptr || !backlog_->can_settle(flight->row_count())) continue;
    for (auto* postbacks : {&flight->postbacks, &flight->quarantined_postbacks}) {
      for (Postback* postback : *postbacks) {
        if (!is_spilled(*postback) && spill_.add(*postback, now_ns)) ++spilled_with_store_;
      }
    }
  }
}

bool Lane::is_spilled(const Postback& postback) const {
  return postback.spill_part != nullptr || postback.journaled;
}

void Lane::answer_early(Postback& postback, Outcome outcome) {
  ++counters_.answers[static_cast<size_t>(outcome)];
  postback.answered = true;
  postback.early.postback = &postback;
  postback.early.outcome = outcome;
  postback.early.receiver = postback.origin_early;
  environment_.courier->send(postback.origin_core, postback.early);
}

// The database has confirmed the row of a postback that has gone, or is going, to the journal.
void Lane::settle(Postback& postback, Outcome outcome) {
  --spilled_with_store_;
  // At the bound its record is replayed, found in the database, and counted once more.
  static_cast<void>(backlog_->settle(postback.conversion.id));
  if (postback.answered) {
    backlog_->remove(1);
    count_fate(outcome);
    send_back(postback);
    return;
  }
  spill_.forget(postback);
  if (postback.conversion.reason == Reason::none) {
    finish_first(postback, outcome);
  } else {
    finish(postback, outcome);
  }
}

// The store has let go of a postback that has gone, or is going, to the journal.
void Lane::leave_to_journal(Postback& postback) {
  --spilled_with_store_;
  postback.with_store = false;
  if (postback.answered) send_back(postback);
}

// Of a batch that was refused: what the journal has is judged when it comes back from there.
void Lane::strip_spilled(Flight* flight) {
  for (auto* postbacks : {&flight->postbacks, &flight->quarantined_postbacks}) {
    std::erase_if(*postbacks, [this](Postback* postback) {
      if (!is_spilled(*postback)) return false;
      leave_to_journal(*postback);
      return true;
    });
  }
}

// Tells the drain whether this lane takes replayed batches. It does not while the store works on
// rows that the journal has too: their records could be replayed before the store has answered.
// Nor while the journal has not answered: a record is counted before it is replayed.
void Lane::update_away() {
  if (backlog_ == nullptr) return;
  const bool away =
      health_ != LaneHealth::up || retiring_ || spilled_with_store_ > 0 || spill_.is_owed();
  if (away == away_) return;
  away_ = away;
  if (away) {
    backlog_->lane_away();
  } else {
    backlog_->lane_back();
  }
}

}  // namespace postback::ingest
