#include "store/pg_reader.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <utility>

#include "base/time.h"
#include "store/pg_result.h"
#include "store/pg_statements.h"

namespace postback::store {
namespace {

constexpr uint64_t kMillisecondNs = 1'000'000;

}  // namespace

PgReader::PgReader(PgSessionOptions options, int read_ms, int idle_ms, PgReaderClient* client)
    : loop_(options.loop),
      client_(client),
      target_(options.target),
      read_ns_(static_cast<uint64_t>(read_ms) * kMillisecondNs),
      idle_ns_(static_cast<uint64_t>(idle_ms) * kMillisecondNs),
      session_(std::move(options), this) {}

void PgReader::read(StoreRead& read) {
  read.ok = false;
  read.error.clear();
  read.conversions.clear();
  read.more = false;
  read.stats = StoreStats{};
  if (shut_ || queue_.size() >= kReadsQueuedMax) {
    finish(&read, shut_ ? "the store is closing" : "too many reads wait for the database");
    return;
  }
  queue_.push_back({&read, loop_->now_ns() + read_ns_});
  if (session_.is_up()) {
    send_next();
  } else {
    session_.open();
  }
}

void PgReader::send_next() {
  if (sent_ || queue_.empty() || !session_.is_up()) return;
  const StoreRead& read = *queue_.front().read;
  sent_ = true;
  error_.clear();
  PgPipeline* pipeline = &session_.pipeline();
  parameters_.clear();
  parameters_.add_int4(read.partner_id);
  if (read.kind == StoreRead::Kind::stats) {
    parameters_.add_timestamptz(base::minute_floor_us(read.since_us));
    pipeline->execute(kReadStats, parameters_);
  } else {
    parameters_.add_int8(read.before_id);
    parameters_.add_int8(std::clamp(read.limit, 0, kRowsMax));
    parameters_.add_int8(read.bytes_max);
    pipeline->execute(kReadConversions, parameters_);
  }
  pipeline->sync();
}

void PgReader::session_result(const PGresult* result) {
  if (!sent_) return;
  StoreRead* read = queue_.front().read;
  switch (PQresultStatus(result)) {
    case PGRES_TUPLES_OK: {
      const bool taken = read->kind == StoreRead::Kind::stats ? take_stats(result, &read->stats)
                                                              : take_conversions(result, read);
      if (!taken) error_ = "the database holds a value that this program cannot read";
      return;
    }
    case PGRES_PIPELINE_SYNC:
      queue_.pop_front();
      sent_ = false;
      used_ns_ = loop_->now_ns();
      session_.note_success();
      finish(read, error_);
      send_next();
      return;
    case PGRES_COMMAND_OK:
    case PGRES_PIPELINE_ABORTED:
      return;
    default:
      error_ = target_.clean_error(PQresultErrorMessage(result));
      return;
  }
}

void PgReader::session_down() {
  sent_ = false;
  fail_all(session_.error().empty() ? "the store was closed" : session_.error());
  session_.rest();  // The next read tries again; nobody waits meanwhile.
  client_->reader_changed();
}

void PgReader::finish(StoreRead* read, const std::string& error) {
  read->ok = error.empty();
  read->error = error;
  done_.push_back(read);
  client_->reader_has_results();
}

void PgReader::fail_all(const std::string& error) {
  while (!queue_.empty()) {
    StoreRead* read = queue_.front().read;
    queue_.pop_front();
    finish(read, error);
  }
}

void PgReader::deliver() {
  while (!done_.empty()) {
    StoreRead* read = done_.front();
    done_.pop_front();
    client_->reader_read_done(*read);
  }
}

void PgReader::tick(uint64_t now_ns) {
  session_.tick(now_ns);
  if (!queue_.empty() && now_ns >= queue_.front().until_ns) {
    // Reads behind it have waited as long or shorter: those in time go on with a new connection.
    if (sent_) {
      session_.give_up(StoreState::down, "no answer to a read in time");
    } else {
      StoreRead* read = queue_.front().read;
      queue_.pop_front();
      finish(read, "the database was not reached in time");
    }
  } else if (queue_.empty() && session_.is_up() && now_ns >= used_ns_ + idle_ns_) {
    session_.give_up(StoreState::idle, "");
  }
}

void PgReader::shut() {
  shut_ = true;
  if (!sent_) fail_all("the store is closing");
  session_.shut();
}

}  // namespace postback::store
