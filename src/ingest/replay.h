// Records of the journal on their way into the database: read by the drain, sent to the lane of
// their partner and slice, which stores them beside its live postbacks and sends the batch back.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "ingest/postback.h"
#include "io/mailbox.h"
#include "journal/segment.h"
#include "postback/message.h"

namespace postback::ingest {

// Owned by the drain; lent to the lane from its sending until it comes back.
struct ReplayBatch : Message {
  int32_t partner_id = 0;
  uint32_t slice = 0;
  std::vector<std::unique_ptr<Postback>> rows;  // In journal order; the first row_count are used.
  size_t row_count = 0;
  size_t byte_count = 0;
  journal::Position first;  // Of its first record.
  // Where it comes back to; both live until it has.
  io::Mailbox* reply_mailbox = nullptr;
  MessageReceiver* reply_receiver = nullptr;

  // Filled by the lane. Not done: at least one row is not known to be durable; all of them are to
  // be replayed again, the ones that are durable are recognised then.
  bool done = false;
  uint64_t stored = 0;
  uint64_t duplicate = 0;  // The repeats within the batch included.
  uint64_t quarantined = 0;
  uint64_t repeats = 0;          // Rows whose id an earlier row of the batch has, and which waited.
  std::vector<int64_t> settled;  // Row ids that were passed over; see PartnerBacklog::settle().
  size_t rows_open = 0;          // Rows whose outcome is not known yet.
  uint64_t moved = 0;            // Rows that stand in the journal anew, behind all others.

  // A row to fill; reused ones keep their memory.
  Postback& add_row() {
    if (row_count == rows.size()) rows.push_back(std::make_unique<Postback>());
    Postback& row = *rows[row_count++];
    row.conversion.clear();
    row.replay = this;
    return row;
  }
  void clear() {
    row_count = 0;
    byte_count = 0;
    done = false;
    stored = 0;
    duplicate = 0;
    quarantined = 0;
    repeats = 0;
    settled.clear();
    rows_open = 0;
    moved = 0;
  }
};

}  // namespace postback::ingest
