#include "store/pg_writer.h"

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/time.h"
#include "store/pg_sqlstate.h"
#include "store/pg_statements.h"

namespace postback::store {
namespace {

constexpr uint64_t kMillisecondNs = 1'000'000;

// The one partner of a batch.
int32_t partner_of(const Batch& batch) {
  int32_t partner_id = batch.partner_id;
  if (!batch.conversions.empty()) partner_id = batch.conversions[0].conversion->partner_id;
  if (!batch.quarantined.empty()) partner_id = batch.quarantined[0]->partner_id;
  for (const BatchRow& row : batch.conversions) CHECK(row.conversion->partner_id == partner_id);
  for (const Conversion* row : batch.quarantined) CHECK(row->partner_id == partner_id);
  CHECK(batch.duplicate_count == 0 || batch.partner_id == partner_id);
  return partner_id;
}

// Of the tables that batches are stored in, as their migrations name it.
bool is_primary_key(std::string_view constraint) {
  return constraint == "partner_conversions_pkey" || constraint == "postback_quarantine_pkey";
}

void set_results(Batch* batch, RowResult result) {
  for (BatchRow& row : batch->conversions) row.result = result;
}

}  // namespace

PgWriter::PgWriter(PgSessionOptions options, int64_t writer_id, int batch_ms, int idle_ms,
                   PgWriterClient* client)
    : loop_(options.loop),
      client_(client),
      target_(options.target),
      writer_id_(writer_id),
      batch_ns_(static_cast<uint64_t>(batch_ms) * kMillisecondNs),
      idle_ns_(static_cast<uint64_t>(idle_ms) * kMillisecondNs),
      waiting_ns_max_(batch_ns_ + static_cast<uint64_t>(options.connect_ms) * kMillisecondNs),
      session_(std::move(options), this) {
  for (size_t i = kBatchesInFlightMax; i > 0; --i) free_.push_back(static_cast<Slot>(i - 1));
  order_.reserve(kBatchesInFlightMax);
  wire_.reserve(kBatchesInFlightMax);
}

bool PgWriter::can_submit() const {
  if (shutting_) return false;
  switch (session_.state()) {
    case StoreState::up:
      return session_.is_up() && !free_.empty();
    case StoreState::idle:
    case StoreState::connecting:
      return order_.empty();
    case StoreState::down:
    case StoreState::schema_wrong:
      return false;
  }
  return false;
}

void PgWriter::submit(Batch& batch) {
  CHECK(can_submit() && !batch.empty());
  const Slot slot = free_.back();
  free_.pop_back();
  flights_[slot] = InFlight{};
  flights_[slot].batch = &batch;
  batch.result = BatchResult::pending;
  batch.error.clear();
  order_.push_back(slot);
  used_ns_ = now_ns();
  if (session_.is_up()) {
    send(slot, batch.expected_new && now_ns() >= plain_from_ns_);
  } else {
    session_.open();
  }
}

void PgWriter::session_up() {
  used_ns_ = now_ns();
  looked_ns_ = used_ns_;
  for (const Slot slot : order_) send(slot, flights_[slot].batch->expected_new);
  client_->writer_changed();
}

void PgWriter::send(Slot slot, bool plain) {
  InFlight& flight = flights_[slot];
  CHECK(!flight.sent && !flight.done);
  if (wire_.empty()) progress_ns_ = now_ns();
  flight.plain = plain;
  flight.sent = true;
  ++flight.attempts;
  flight.sqlstate.clear();
  flight.error.clear();
  flight.id_taken = false;
  wire_.push_back(slot);
  const Batch& batch = *flight.batch;
  flight.batch->inserted = plain && !batch.conversions.empty();
  flight.awaits_insert = !plain && !batch.conversions.empty();
  const int32_t partner_id = partner_of(batch);
  PgPipeline* pipeline = &session_.pipeline();
  flight.batch->sample_found = 0;
  if (!batch.sample.empty()) {
    encode_sample(partner_id, batch.sample, &parameters_);
    pipeline->execute(kFindSample, parameters_);
  }
  minutes_.clear();
  if (!batch.conversions.empty()) {
    encode_conversions(partner_id, batch.conversions, &parameters_);
    if (plain) {
      pipeline->execute(kInsertPlain, parameters_);
      sum_by_minute(batch.conversions, &minutes_);
    } else {
      parameters_.add_int8(writer_id_);
      pipeline->execute(kInsertOnce, parameters_);
      encode_find_stored(partner_id, writer_id_, batch.conversions, &parameters_);
      pipeline->execute(kFindStored, parameters_);
    }
    set_results(flight.batch, plain ? RowResult::stored : RowResult::duplicate);
  }
  if (!batch.quarantined.empty()) {
    encode_quarantine(partner_id, writer_id_, batch.quarantined, &parameters_);
    pipeline->execute(plain ? kQuarantinePlain : kQuarantineOnce, parameters_);
  }
  if (batch.duplicate_count > 0) {
    add_duplicates(base::minute_floor_us(batch.duplicates_at_us), batch.duplicate_count, &minutes_);
  }
  for (const MinuteStats& minute : minutes_) {
    encode_stats(partner_id, writer_id_, minute, &parameters_);
    pipeline->execute(kAddStats, parameters_);
  }
  pipeline->sync();
}

void PgWriter::session_result(const PGresult* result) {
  if (wire_.empty()) return;
  if (wire_.front() == kLookSlot) {
    look_result(result);
    return;
  }
  InFlight& flight = flights_[wire_.front()];
  switch (PQresultStatus(result)) {
    case PGRES_PIPELINE_SYNC:
      sync_seen();
      return;
    case PGRES_TUPLES_OK:
      take_rows(result, &flight);
      return;
    case PGRES_COMMAND_OK:
      if (flight.awaits_insert) take_inserted(result, &flight);
      return;
    case PGRES_PIPELINE_ABORTED:
      return;
    default:
      take_error(result, &flight);
      return;
  }
}

// insert_once is the first INSERT of its batch, and changes a row of statistics for each minute in
// which a conversion was inserted.
void PgWriter::take_inserted(const PGresult* result, InFlight* flight) {
  auto* command = const_cast<PGresult*>(result);  // libpq does not change it.
  if (std::strncmp(PQcmdStatus(command), "INSERT", 6) != 0) return;
  flight->awaits_insert = false;
  flight->batch->inserted = std::strcmp(PQcmdTuples(command), "0") != 0;
}

// Of the two statements that have rows; their columns are told apart by name.
void PgWriter::take_rows(const PGresult* result, InFlight* flight) {
  if (std::strcmp(PQfname(result, 0), "found") == 0) {
    flight->batch->sample_found = std::strtoull(PQgetvalue(result, 0, 0), nullptr, 10);
  } else {
    take_stored(result, flight);
  }
}

// The answer of find_stored: positions in the batch from 1.
void PgWriter::take_stored(const PGresult* result, InFlight* flight) {
  std::vector<BatchRow>& rows = flight->batch->conversions;
  for (int i = 0; i < PQntuples(result); ++i) {
    const char* text = PQgetvalue(result, i, 0);
    size_t position = 0;
    std::from_chars(text, text + std::strlen(text), position);
    if (position < 1 || position > rows.size()) {
      flight->error = "the database named a row that is not in the batch";
      return;
    }
    rows[position - 1].result = RowResult::stored;
  }
}

void PgWriter::take_error(const PGresult* result, InFlight* flight) {
  if (!flight->error.empty()) return;  // The first error is the cause.
  const char* sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  flight->sqlstate = sqlstate == nullptr ? "" : sqlstate;
  flight->error = target_.clean_error(PQresultErrorMessage(result));
  const char* constraint = PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME);
  flight->id_taken =
      flight->sqlstate == kUniqueViolation && constraint != nullptr && is_primary_key(constraint);
  if (flight->error.empty()) flight->error = "the database gave no reason";
}

void PgWriter::send_look() {
  looked_ns_ = now_ns();
  if (wire_.empty()) progress_ns_ = looked_ns_;
  wire_.push_back(kLookSlot);
  facts_ = {};
  look_sqlstate_.clear();
  parameters_.clear();
  session_.pipeline().execute(session_.is_server_told() ? kLook : kLookAtSchema, parameters_);
  session_.pipeline().sync();
}

void PgWriter::look_result(const PGresult* result) {
  switch (PQresultStatus(result)) {
    case PGRES_TUPLES_OK:
      take_pg_facts(result, &facts_);
      return;
    case PGRES_PIPELINE_SYNC:
      wire_.erase(wire_.begin());
      progress_ns_ = now_ns();
      if (!look_sqlstate_.empty()) {
        // Told by the batches, if it matters to them; but a table that is gone matters.
        if (batch_result_of(look_sqlstate_) == BatchResult::schema) {
          session_.give_up(StoreState::schema_wrong,
                           "table postback_schema cannot be read (SQLSTATE " + look_sqlstate_ +
                               "): was the database restored or cleared?");
        }
      } else if (session_.judge(facts_)) {
        client_->writer_changed();
      }
      return;
    case PGRES_COMMAND_OK:
    case PGRES_PIPELINE_ABORTED:
      return;
    default: {
      const char* sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
      look_sqlstate_ = sqlstate == nullptr ? "?" : sqlstate;
      return;
    }
  }
}

void PgWriter::sync_seen() {
  const Slot slot = wire_.front();
  wire_.erase(wire_.begin());
  InFlight& flight = flights_[slot];
  flight.sent = false;
  progress_ns_ = now_ns();
  used_ns_ = progress_ns_;
  if (flight.error.empty()) {
    flight.result = BatchResult::committed;
    flight.done = true;
    session_.note_success();
  } else {
    failed(slot);
  }
  deliver();
}

void PgWriter::failed(Slot slot) {
  InFlight& flight = flights_[slot];
  if (flight.plain && flight.sqlstate == kUniqueViolation) {
    plain_from_ns_ = now_ns() + kPlainPauseNs;
    send(slot, false);
    return;
  }
  // A taken id may be our own row, committed while we waited for it: once more, to see it.
  const bool is_worth_it = is_worth_repeating(flight.sqlstate) || flight.id_taken;
  if (is_worth_it && flight.attempts < (flight.id_taken ? kIdAttemptsMax : kAttemptsMax)) {
    send(slot, false);
    return;
  }
  flight.result = batch_result_of(flight.sqlstate);
  flight.done = true;
  set_results(flight.batch, RowResult::pending);
  if (flight.result == BatchResult::unavailable) {
    session_.give_up(StoreState::down, flight.error);
  } else if (flight.result == BatchResult::schema) {
    session_.give_up(StoreState::schema_wrong, flight.error);
  }
}

void PgWriter::session_down() {
  wire_.clear();
  for (const Slot slot : order_) {
    InFlight& flight = flights_[slot];
    if (flight.done) continue;
    const bool nothing_sent = !flight.sent;
    flight.sent = false;
    flight.done = true;
    // What was sent may be stored all the same: only what was not is known to wait for a person.
    flight.result = nothing_sent && session_.state() == StoreState::schema_wrong
                        ? BatchResult::schema
                        : BatchResult::unavailable;
    if (flight.error.empty()) flight.error = session_.error();
    if (flight.error.empty()) flight.error = "the store was closed";
    set_results(flight.batch, RowResult::pending);
  }
  deliver();
  client_->writer_changed();
}

// Gives back what is done, in the order of submission. The client may submit from within.
void PgWriter::deliver() {
  bool delivered = false;
  while (!order_.empty() && flights_[order_.front()].done) {
    const Slot slot = order_.front();
    order_.erase(order_.begin());
    free_.push_back(slot);
    Batch* batch = flights_[slot].batch;
    batch->result = flights_[slot].result;
    batch->id_taken = batch->result == BatchResult::rejected && flights_[slot].id_taken;
    batch->error = std::move(flights_[slot].error);
    client_->writer_batch_done(*batch);
    delivered = true;
  }
  if (delivered && shutting_ && order_.empty()) session_.shut();
}

void PgWriter::tick(uint64_t now_ns) {
  session_.tick(now_ns);
  if (session_.is_up()) {
    if (!wire_.empty() && now_ns >= progress_ns_ + batch_ns_) {
      session_.give_up(StoreState::down, "no answer to a batch in time");
    } else if (order_.empty() && now_ns >= used_ns_ + idle_ns_) {
      session_.give_up(StoreState::idle, "");
    } else if (used_ns_ > looked_ns_ && now_ns >= looked_ns_ + kLookEveryNs && !shutting_) {
      send_look();
    }
  } else if (!order_.empty() && now_ns >= used_ns_ + waiting_ns_max_) {
    session_.give_up(StoreState::down, "a batch waited too long for the connection");
  }
}

void PgWriter::shut() {
  shutting_ = true;
  if (order_.empty() || !session_.is_up()) session_.shut();
}

}  // namespace postback::store
