// The store seam over a SQLite file: batches travel as jobs to the thread of the database's writer,
// reads to that of its reader, and both come back through the core's mailbox.
//
// Thread: the core's; see postback/store.h. States:
//
//   idle --open, submit, read--> connecting --answer--> up | down | schema_wrong
//   up --answer--> down | schema_wrong          up --idle_ms--> (leaves the database) idle
//   down, schema_wrong --back-off over: an open job--> up | down | schema_wrong
//   any --no answer within batch_ms--> down, until the answer comes
//
// A batch whose writer does not answer cannot be taken back: its thread may be reading it. It comes
// back when the disk does; meanwhile the store is down, so the lane sheds or journals.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "postback/store.h"
#include "store/sqlite_job.h"
#include "store/store_factory.h"

namespace postback::store {

class SqliteDatabase;

// `path`: the database file, as it stands behind "sqlite:" in the URL; the file and its folder are
// made when missing. options.services, options.mailbox and `client` outlive the store.
std::unique_ptr<Store> make_sqlite_store(const StoreOptions& options, const std::string& path,
                                         StoreClient* client);

class SqliteStore final : public Store, private MessageReceiver {
 public:
  SqliteStore(const StoreOptions& options, SqliteDatabase* database, StoreClient* client);
  ~SqliteStore() override;

  const char* kind() const override { return "sqlite"; }
  bool can_submit() const override;
  void submit(Batch& batch) override;
  void read(StoreRead& read) override;
  void open() override;
  void tick(uint64_t now_ns) override;
  StoreStatus status() const override;
  void close() override;

 private:
  void receive(Message& message) override;
  void opened(const SqliteJob& job);
  void written(SqliteJob* job);
  void answered(SqliteJob* job);

  void post(SqliteJob* job);
  void post_open();
  void post_leave();
  void enter(SqliteResult result, const std::string& error);
  void retry(uint64_t now_ns);
  void watch_overdue(uint64_t now_ns);
  void give_up_held_reads();
  bool overdue(SqliteJob* job, uint64_t now_ns) const;
  bool nothing_outstanding() const;

  // One batch is being committed, and what came meanwhile waits to be committed together: 1.05
  // times the throughput of 2 over 256 connections.
  static constexpr uint32_t kBatchesInFlightMax = 4;

  static constexpr uint64_t kSchemaRetryMsMin = 250;
  static constexpr uint64_t kSchemaRetryMs = 5000;

  const StoreOptions options_;
  SqliteDatabase* const database_;
  StoreClient* const client_;
  StoreState state_ = StoreState::idle;
  std::string error_;
  const PartnerClaim claim_;
  uint32_t openings_ = 0;
  uint32_t identity_changes_ = 0;
  bool joined_ = false;  // The writer counts this store among its users.
  bool was_up_ = false;  // The tables exist: reads need not wait for an open.
  bool closing_ = false;
  uint64_t now_ns_ = 0;   // Of the last tick.
  uint64_t used_ns_ = 0;  // When something was last asked for, as of the tick after it.
  bool used_ = false;     // Since the last tick.
  uint64_t retry_at_ns_ = 0;
  uint64_t back_off_ms_ = 0;
  uint64_t schema_back_off_ms_ = kSchemaRetryMs;

  std::array<SqliteJob, kBatchesInFlightMax> write_jobs_;  // Free when `batch` is null.
  uint32_t batches_in_flight_ = 0;
  SqliteJob open_job_;
  bool opening_ = false;
  SqliteJob leave_job_;
  bool leaving_ = false;
  std::vector<std::unique_ptr<SqliteJob>> read_jobs_;  // Outstanding; bounded by the callers.
  std::vector<SqliteJob*> reads_held_;                 // Of those, the ones waiting for the open.
};

}  // namespace postback::store
