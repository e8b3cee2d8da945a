// What travels between a SQLite store on its core and the threads of its database, and back.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "io/mailbox.h"
#include "postback/store.h"
#include "store/partner_claim.h"
#include "store/sqlite_connection.h"

namespace postback::store {

// Owned by the store; lent to a thread from post() until it comes back through reply_mailbox.
struct SqliteJob : Message {
  enum class Kind : uint8_t {
    open,   // Make sure the database is open, migrated and writable.
    write,  // Commit *batch.
    read,   // Answer *read.
    leave,  // The store does not use the database for now; follows everything else it asked for.
  };
  Kind kind = Kind::open;
  // The first job of a store since it was made, or since it left; cleared when it was counted.
  bool joins = false;
  Batch* batch = nullptr;
  StoreRead* read = nullptr;
  const PartnerClaim* claim = nullptr;  // open, write: of the store.
  int64_t writer_id = 0;
  int limit_ms = 0;            // open, write: how long locks of other processes are waited for.
  uint64_t give_up_at_ns = 0;  // read: monotonic time limit.

  // The answer.
  SqliteResult result = SqliteResult::ok;
  std::string error;
  // open, write: see StoreStatus.
  uint32_t openings = 0;
  uint32_t identity_changes = 0;

  io::Mailbox* reply_mailbox = nullptr;
  MessageReceiver* reply_receiver = nullptr;
  // leave: the thread has finished giving the job back, and so every answer before it. Until then
  // it may still be waking the core's loop, which must not go away under it.
  std::atomic<bool> given_back{false};
  uint64_t first_tick_ns = 0;  // The store's own: when it first saw the job outstanding.
};

// Gives `job` back to its store. Any thread; the job belongs to the core afterwards, but a leave
// stays readable for the thread until it has said that it is done.
inline void reply(SqliteJob* job) {
  const bool leaves = job->kind == SqliteJob::Kind::leave;
  job->receiver = job->reply_receiver;
  job->reply_mailbox->post(*job);
  if (leaves) job->given_back.store(true, std::memory_order_release);
}

}  // namespace postback::store
