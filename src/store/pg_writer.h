// The batches of a PostgreSQL store: a few at a time on one connection in pipeline mode, each one
// transaction that ends with a Sync. A batch is committed when its PGRES_PIPELINE_SYNC has come
// and no error before it.
//
// Two forms. Plain: INSERT without a look at what is there, and sums computed here; only for ids
// believed new. Once: INSERT of what is not there yet, sums of what was really inserted. A plain
// batch that meets a unique violation has stored nothing and is repeated in the other form, and for
// kPlainPauseNs no batch is tried plainly: a failed INSERT leaves dead rows behind.
//
// While batches flow, the connection is looked at once a second (pg_facts.h): the unique index may
// be dropped, or another database stand behind a pooler.
//
// Owner: PgStore. Thread: the core's.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "postback/store.h"
#include "store/pg_batch.h"
#include "store/pg_session.h"

namespace postback::store {

class PgWriterClient {
 public:
  virtual void writer_batch_done(Batch& batch) = 0;
  virtual void writer_changed() = 0;

 protected:
  ~PgWriterClient() = default;
};

class PgWriter final : PgSessionClient {
 public:
  // While the server works on one, the next one is there already; what comes meanwhile grows the
  // one after that. Of 2, 3 and 4 this is the fastest (1.05 times of 4 over 1024 connections).
  static constexpr size_t kBatchesInFlightMax = 2;

  PgWriter(PgSessionOptions options, int64_t writer_id, int batch_ms, int idle_ms,
           PgWriterClient* client);

  bool can_submit() const;
  void submit(Batch& batch);
  void tick(uint64_t now_ns);
  void open() { session_.open(); }
  // Batches on their way are waited for, within the time limit; others come back unavailable.
  void shut();
  // After shut(): nothing is outstanding.
  bool is_settled() const { return order_.empty() && session_.is_settled(); }
  size_t in_flight() const { return order_.size(); }
  const PgSession& session() const { return session_; }

 private:
  static constexpr uint64_t kPlainPauseNs = 10'000'000'000;
  static constexpr uint64_t kLookEveryNs = 1'000'000'000;
  static constexpr int kAttemptsMax = 2;    // After a deadlock or serialization failure.
  static constexpr int kIdAttemptsMax = 3;  // Plainly, and twice in the other form.

  struct InFlight {
    Batch* batch = nullptr;
    bool plain = false;          // The form in which it was sent last.
    bool sent = false;           // Stands in wire_.
    bool done = false;           // Has its result; waits for those before it.
    bool awaits_insert = false;  // Of insert_once: how many rows of statistics it changed.
    int attempts = 0;
    BatchResult result = BatchResult::pending;
    std::string sqlstate;  // Of the first error of this attempt.
    std::string error;
    bool id_taken = false;  // The error is that another row has the id of one of ours.
  };
  using Slot = uint8_t;
  static constexpr Slot kLookSlot = UINT8_MAX;  // In wire_: no batch, but a look.

  void session_up() override;
  void session_result(const PGresult* result) override;
  void session_down() override;

  void send(Slot slot, bool plain);
  void send_look();
  void look_result(const PGresult* result);
  void take_rows(const PGresult* result, InFlight* flight);
  void take_inserted(const PGresult* result, InFlight* flight);
  void take_stored(const PGresult* result, InFlight* flight);
  void take_error(const PGresult* result, InFlight* flight);
  void sync_seen();
  void failed(Slot slot);
  void deliver();
  uint64_t now_ns() const { return loop_->now_ns(); }

  Loop* loop_;
  PgWriterClient* client_;
  const PgTarget target_;  // For error texts.
  const int64_t writer_id_;
  const uint64_t batch_ns_;
  const uint64_t idle_ns_;
  const uint64_t waiting_ns_max_;  // How long a batch may wait for the connection.
  PgSession session_;

  std::array<InFlight, kBatchesInFlightMax> flights_;
  std::vector<Slot> free_;
  std::vector<Slot> order_;   // As submitted, oldest first: the order of delivery.
  std::vector<Slot> wire_;    // As sent: the order of answers.
  uint64_t progress_ns_ = 0;  // Of the last answer, or since when one is awaited.
  uint64_t used_ns_ = 0;
  uint64_t looked_ns_ = 0;
  PgFacts facts_;  // Of the look that is on its way.
  std::string look_sqlstate_;
  uint64_t plain_from_ns_ = 0;  // Before that no batch is sent plainly.
  bool shutting_ = false;
  PgParameterList parameters_;
  std::vector<MinuteStats> minutes_;
};

}  // namespace postback::store
