// The home of one partner, or of one hash slice of its conversion ids: decides what is new, what is
// a repeat and what must wait, and batches what is new into the partner's database. Everything here
// is on one core and single-threaded.
//
// The life of an id: unseen → in flight (in the open batch, with the store, or on its way into the
// journal; repeats wait with it) → durable (in the dedupe set) or, when neither database nor
// journal took it, unseen again.
//
// Health: up → suspect when the database has not answered within the budget, → down when the store
// says so. From both, postbacks go to the journal (lane_journal.cc), or are answered 503 when there
// is none. Back up, the drain replays the journal's records through this lane.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/histogram.h"
#include "base/time.h"
#include "ingest/backlog.h"
#include "ingest/batch_size.h"
#include "ingest/dedupe_set.h"
#include "ingest/failover_tail.h"
#include "ingest/flight.h"
#include "ingest/id_order.h"
#include "ingest/lane_memory.h"
#include "ingest/postback.h"
#include "ingest/replay.h"
#include "ingest/row_id.h"
#include "ingest/spill.h"
#include "ingest/submit_gate.h"
#include "ingest/suspects.h"
#include "io/courier.h"
#include "postback/partner.h"
#include "postback/store.h"
#include "store/store_factory.h"

namespace postback::ingest {

// A read of a partner's database on behalf of a request. Visits the partner's lanes in the order of
// their slices, so that each files its counts first, and reads on the last one.
struct ReadJob : StoreRead {
  uint32_t slice = 0;
  uint32_t slice_count = 1;
  uint32_t origin_core = 0;
  MessageReceiver* origin = nullptr;
  uint64_t exchange = 0;
  uint32_t connection = 0;
  base::Histogram latency_us;     // Of all lanes visited.
  uint64_t journal_waiting = 0;   // Records of the partner in the journal, not in the database.
  int64_t journal_oldest_us = 0;  // When the oldest of them was received; 0: none.
  uint64_t filing_needed = 0;     // The lane's own: see Lane::read().
};

// Where the lanes of one core receive: postbacks, read jobs and replayed batches.
struct LaneReceivers {
  MessageReceiver* postbacks = nullptr;
  MessageReceiver* reads = nullptr;
  MessageReceiver* replays = nullptr;
};

// Which lane of its partner an id belongs to: every copy goes to the same one, from whichever core
// it comes. The same for the life of the process only.
uint32_t slice_of(const Partner& partner, std::string_view conversion_id);

// The core that is home to a lane.
inline uint32_t home_core(int32_t partner_id, uint32_t slice, uint32_t core_count) {
  return (static_cast<uint32_t>(partner_id) + slice) % core_count;
}

struct LaneCounters {
  uint64_t received = 0;
  // What became of them, as far as it is known: received is their sum, plus what waits in this lane
  // (held), plus what is in the journal.
  uint64_t stored = 0;
  uint64_t duplicate = 0;
  uint64_t quarantined = 0;
  uint64_t unavailable = 0;
  std::array<uint64_t, kOutcomeCount> answers{};  // By Outcome.
  uint64_t batches = 0;
  uint64_t batches_failed = 0;
  uint64_t memory_forgotten = 0;  // How often: see LaneMemory.
  base::Histogram batch_rows;
  base::Histogram latency_us;  // From the complete request to the outcome, success and duplicate.

  void merge(const LaneCounters& other);
};

struct LaneEnvironment {
  Loop* loop = nullptr;
  io::Mailbox* mailbox = nullptr;
  io::Courier* courier = nullptr;
  DedupeSet* dedupe = nullptr;
  SubmitGate* gate = nullptr;  // nullptr: batches go out as soon as the store takes them.
  store::Services* services = nullptr;
  const base::Clock* clock = nullptr;
  // The journal, and what it holds; both nullptr where there is none.
  journal::Writer* journal = nullptr;
  Backlog* backlog = nullptr;
  size_t spill_bytes_max = 0;     // Of records that go to the journal together.
  uint64_t failover_tail_ns = 0;  // See FAILOVER_TAIL_S; 0: off.
  uint64_t budget_ns = 0;         // By when a postback is answered; see ACK_BUDGET_MS.
  // How a lane gets its store: store::make_store, or a fake in tests.
  std::function<base::Result<std::unique_ptr<Store>>(const store::StoreOptions&, StoreClient*)>
      make_store = store::make_store;
  int64_t writer_base = 0;  // Random per process; the low bits are left to the lanes.
  const std::vector<LaneReceivers>* receivers = nullptr;  // By core.
  std::vector<class Lane*>* dirty = nullptr;              // Lanes to flush at the end of the turn.
};

enum class LaneHealth : uint8_t {
  up,
  suspect,   // Its database is late: until it has answered, new postbacks go to the journal.
  down,      // Its database is away, or its schema is wrong.
  draining,  // Up, and records of its partner in the journal are on their way into the database.
};
const char* lane_health_name(LaneHealth health);

class Lane final : public StoreClient, SpillClient, SlotWaiter {
 public:
  // `scope`: never used by another lane of this core, past or present.
  Lane(const Partner& partner, uint32_t slice, uint32_t scope, const LaneEnvironment& environment);
  ~Lane();

  // Takes the postback; its answer follows through the courier.
  void add(Postback& postback);
  // Takes the job; it goes on to the lane of the next slice, or, from the last one with its result,
  // back to job.origin, through the courier.
  void read(ReadJob& job);
  // Takes the batch; it goes back to its sender when the fate of every row is known.
  void replay(ReplayBatch& batch);
  // End of turn: hands the store what it can take.
  void flush();
  void tick(uint64_t now_ns);

  // Opens the store ahead of the first postback.
  void warm_up();
  // The lane gets no further postbacks: finishes what it has, then closes its store.
  void retire();
  bool retired() const { return store_closed_; }  // May be destroyed.
  bool idle() const { return held_ == 0; }

  bool serves(const Partner& partner) const;  // False: a new lane must take its place.
  const Partner& partner() const { return partner_; }
  uint32_t slice() const { return slice_; }
  const LaneCounters& counters() const { return counters_; }
  StoreStatus store_status() const { return store_->status(); }
  const char* store_kind() const { return store_->kind(); }
  size_t held() const { return held_; }
  LaneHealth health() const;
  const PartnerBacklog* backlog() const { return backlog_; }  // nullptr: no journal.

  void batch_done(Batch& batch) override;
  void read_done(StoreRead& read) override;
  void store_changed() override;
  void store_closed() override { store_closed_ = true; }

 private:
  // With the hash that its postback keeps.
  struct InFlightId {
    uint64_t hash;
    std::string_view id;
    bool operator==(const InFlightId& other) const { return id == other.id; }
  };
  struct InFlightHash {
    size_t operator()(const InFlightId& key) const { return key.hash; }
  };
  void add_conversion(Postback& postback);
  void take(Postback& postback);
  void append(Flight* flight, Postback& postback);
  bool can_hold() const;
  bool take_slot();
  void give_slot_back(Flight* flight);
  void slot_granted() override;
  void set_health(LaneHealth health);
  void mark_dirty();
  std::string name() const;  // For the log.
  bool is_worth_a_batch() const;
  bool is_trying_suspects() const;
  void submit(std::unique_ptr<Flight> flight);
  void committed(Flight& flight);
  void failed(Flight& flight);
  void clear_waiting();
  void count_duplicate();
  void count_fate(Outcome outcome);
  void finish(Postback& postback, Outcome outcome);
  void finish_first(Postback& first, Outcome outcome);
  void finish_waiters(Postback& first, Outcome outcome);
  void send_back(Postback& postback);
  void start_reads();
  void return_read(ReadJob& job);
  void close_when_done();

  // lane_forget.cc
  void forget_memory(const char* why);
  void keep_tail(const Flight& flight);
  void replay_tail();

  // lane_refusals.cc: rows that the database refuses, and batches that it does not take.
  std::unique_ptr<Flight> cut_to_size(Flight* flight, size_t rows_max);
  bool is_refused(const Flight& flight);
  void note_committed(const Flight& flight);
  void note_failure(const Flight& flight);
  void tell_stuck(const Postback* row, const std::string& error);
  void refused(std::unique_ptr<Flight> flight);
  bool take_next_id(Flight* flight);
  void quarantine_refused_row(std::unique_ptr<Flight> flight, const std::string& error);
  void forget_id(const Postback& postback);

  // lane_journal.cc: the way into the journal.
  void spilled(const std::vector<Postback*>& postbacks, const std::vector<int64_t>& forgotten,
               bool durable) override;
  void spill(Postback& postback);
  void give_up(Postback& postback);
  void not_spilled(Postback& postback);
  bool is_late(uint64_t now_ns) const;
  void watch_budget(uint64_t now_ns);
  void spill_submitted();
  bool is_spilled(const Postback& postback) const;
  void answer_early(Postback& postback, Outcome outcome);
  void settle(Postback& postback, Outcome outcome);
  void leave_to_journal(Postback& postback);
  void strip_spilled(Flight* flight);
  void update_away();
  void learn_recovered_ids();
  bool journal_has_records() const;

  // lane_replay.cc: the way back out of it.
  bool is_beside_live() const;
  bool may_replay() const;
  void submit_replays();
  bool prepare_replay();
  void resume_deferred();
  void replay_batch_done(const Flight& flight);
  void finish_replayed(Postback& row, Outcome outcome);
  void finish_repeats(Postback& first, Outcome outcome);
  void count_replayed(ReplayBatch* batch, Outcome outcome);
  void replay_repeats(Postback& first);
  bool move_behind(Postback& row);
  void fail_replays();
  void return_replay(ReplayBatch& batch, bool done);
  bool add_replayed_rows(Flight* flight, ReplayBatch* batch);

  const Partner partner_;
  const uint32_t slice_;
  const LaneEnvironment environment_;
  LaneMemory memory_;
  FailoverTail tail_;
  const std::string url_;
  RowIds row_ids_;
  std::unique_ptr<Store> store_;
  LaneHealth health_ = LaneHealth::up;  // Never `draining`: see health().
  bool retiring_ = false;
  bool store_closing_ = false;
  bool store_closed_ = false;

  absl::flat_hash_map<InFlightId, Postback*, InFlightHash> in_flight_;  // First copies.
  IdOrder id_order_;                                                    // Scratch of submit().
  FlightPool flights_;
  BatchSize batch_size_;
  Suspects suspects_;
  bool suspect_waits_ = false;  // A replayed one, until nothing else is with the store.
  std::unique_ptr<Flight> open_;
  std::deque<std::unique_ptr<Flight>> waiting_;  // Full, or parts of refused batches; before open_.
  std::deque<std::unique_ptr<Flight>> submitted_;  // With the store, oldest first.
  size_t held_ = 0;                                // Postbacks taken and not sent back.

  Spill spill_;
  PartnerBacklog* backlog_ = nullptr;  // nullptr: no journal.
  size_t spilled_with_store_ = 0;      // Postbacks that the store and the journal have.
  bool away_ = false;                  // As told to the backlog.
  std::deque<std::unique_ptr<Flight>> replays_waiting_;
  std::deque<std::unique_ptr<Flight>> replays_deferred_;  // One row each: others are tried first.
  size_t replays_in_flight_ = 0;                          // In submitted_.
  uint64_t replay_from_ns_ = 0;                           // Beside live postbacks: not before.

  // Repeats not yet in the statistics; a filing is a batch that carries some.
  int64_t duplicates_unfiled_ = 0;
  uint64_t duplicates_since_ns_ = 0;
  bool counts_due_ = false;
  uint64_t filings_started_ = 0;
  uint64_t filings_done_ = 0;
  std::deque<ReadJob*> reads_waiting_;  // For a filing.
  size_t reads_running_ = 0;
  bool dirty_ = false;
  SubmitGate::Server* server_ = nullptr;  // nullptr: no gate.
  bool slot_wanted_ = false;              // The gate will call slot_granted().
  uint64_t slot_wanted_ns_ = 0;           // Since when.
  bool slot_ready_ = false;               // Granted, not used yet.
  LaneCounters counters_;
};

}  // namespace postback::ingest
