#include "server/read_handler.h"

#include <memory>

#include "base/log.h"
#include "retention/stats_window.h"
#include "server/answers.h"
#include "server/query_integer.h"

namespace postback::server {
namespace {

constexpr int64_t kHoursDefault = 24;
constexpr int64_t kPageRowsDefault = 10;

}  // namespace

bool ReadHandler::read_query(std::string_view query, ReadReport* job, std::string* fault_field,
                             std::string* fault_message) const {
  const auto range = [&](std::string_view name, int64_t low, int64_t high, int64_t otherwise,
                         int64_t* value) {
    if (read_query_integer(query, name, low, high, otherwise, value)) return true;
    *fault_field = name;
    *fault_message = std::string(name) + " must be a whole number from " + std::to_string(low) +
                     " to " + std::to_string(high);
    return false;
  };
  if (job->kind == StoreRead::Kind::stats) {
    if (!range("hours", 1, kStatsHoursMax, kHoursDefault, &job->hours)) return false;
    const int64_t now_us = environment_.clock->wall_us();
    job->since_us = retention::stats_begin_us(now_us - job->hours * retention::kHourUs, now_us);
    return true;
  }
  int64_t limit = 0;
  if (!range("limit", 1, kPageRowsMax, kPageRowsDefault, &limit)) return false;
  job->limit = static_cast<int32_t>(limit);
  return range("cursor", 1, INT64_MAX, INT64_MAX, &job->before_id);
}

void ReadHandler::handle(const ExchangeId& id, std::string_view query, StoreRead::Kind kind,
                         const partner::PartnerEntry& partner) {
  auto job = std::make_unique<ReadReport>();
  job->kind = kind;
  job->partner_id = partner.partner.id;
  std::string fault_field;
  std::string fault_message;
  if (!read_query(query, job.get(), &fault_field, &fault_message)) {
    body_.clear();
    append_error(&body_, "invalid_parameter", fault_message, fault_field);
    environment_.connections->answer(id, {.status = 400, .body = body_});
    return;
  }
  job->body.lease = ReportLease(environment_.desk->budget());
  if (!job->body.lease.resize(kReportWaitingBytes)) {
    refuse(id);
    return;
  }
  job->slice_count = static_cast<uint32_t>(partner.partner.lanes);
  job->origin_core = environment_.courier->own_core();
  job->origin = this;
  job->asker = this;
  job->connection = id.connection;
  job->exchange = id.exchange;
  job->partner = &partner;
  job->table_use = environment_.tables->acquire();
  job->home_core = ingest::home_core(partner.partner.id, 0, environment_.courier->core_count());
  job->give_up_at_ns = environment_.clock->monotonic_ns() + kReadLimitNs;
  ++in_use_;
  environment_.desk->ask(*job.release());
}

void ReadHandler::receive(Message& message) {
  auto* given = static_cast<ReadReport*>(&message);
  if (given->stage == ReadReport::Stage::reading) {
    environment_.desk->deliver(*given);  // The lanes have answered: now it is written.
    return;
  }
  const std::unique_ptr<ReadReport> job(given);
  --in_use_;
  const ExchangeId id{job->connection, job->exchange};
  if (job->refused) {
    refuse(id);
  } else if (job->ok) {
    environment_.connections->answer(id, {.report = &job->body});
  } else {
    const Partner& partner = job->partner->partner;
    LOG_WARNING("read", "partner=" + partner.partner_code + " read failed: " + job->error);
    std::string text = "the database cannot be read now; try again";
    if (job->journal_waiting > 0) {
      text += " (" + std::to_string(job->journal_waiting) +
              " accepted postbacks wait for it in the journal)";
    }
    body_.clear();
    append_error(&body_, "database_unavailable", text);
    environment_.connections->answer(id,
                                     {.status = 503, .body = body_, .retry_after_s = kRetryAfterS});
  }
  environment_.tables->release(job->table_use);
}

void ReadHandler::refuse(const ExchangeId& id) {
  body_.clear();
  append_error(&body_, "overloaded", "too many reports are being read or sent; try again");
  environment_.connections->answer(id,
                                   {.status = 503, .body = body_, .retry_after_s = kRetryAfterS});
}

}  // namespace postback::server
