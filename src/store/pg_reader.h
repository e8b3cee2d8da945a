// The reads of a PostgreSQL store, one after the other on a connection of their own, which is
// opened at need: a slow read never delays a batch.
//
// Owner: PgStore. Thread: the core's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>

#include "postback/store.h"
#include "store/pg_batch.h"
#include "store/pg_session.h"

namespace postback::store {

class PgReaderClient {
 public:
  virtual void reader_read_done(StoreRead& read) = 0;
  virtual void reader_changed() = 0;
  // Asks for deliver() from the loop, outside of any call.
  virtual void reader_has_results() = 0;

 protected:
  ~PgReaderClient() = default;
};

class PgReader final : PgSessionClient {
 public:
  static constexpr size_t kReadsQueuedMax = 64;
  static constexpr int32_t kRowsMax = 1000;

  PgReader(PgSessionOptions options, int read_ms, int idle_ms, PgReaderClient* client);

  void read(StoreRead& read);
  void deliver();  // Gives back what is done.
  void tick(uint64_t now_ns);
  void shut();  // Reads that are not done come back failed.
  bool is_settled() const { return queue_.empty() && done_.empty() && session_.is_settled(); }
  const PgSession& session() const { return session_; }

 private:
  struct Queued {
    StoreRead* read = nullptr;
    uint64_t until_ns = 0;
  };

  void session_up() override { send_next(); }
  void session_result(const PGresult* result) override;
  void session_down() override;

  void send_next();
  void finish(StoreRead* read, const std::string& error);
  void fail_all(const std::string& error);

  Loop* loop_;
  PgReaderClient* client_;
  const PgTarget target_;  // For error texts.
  const uint64_t read_ns_;
  const uint64_t idle_ns_;
  PgSession session_;
  std::deque<Queued> queue_;  // The first is being read when `sent_`.
  std::deque<StoreRead*> done_;
  bool sent_ = false;
  bool shut_ = false;
  std::string error_;  // Of the read that is being read.
  uint64_t used_ns_ = 0;
  PgParameterList parameters_;
};

}  // namespace postback::store
