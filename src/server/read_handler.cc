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

struct ReadHandler::Job : ingest::ReadJob {
  const partner::PartnerEntry* partner = nullptr;
  TableUses::Use* table_use = nullptr;
  int64_t hours = 0;
};

bool ReadHandler::read_query(std::string_view query, Job* job, std::string* fault_field,
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
  auto job = std::make_unique<Job>();
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
  job->slice_count = static_cast<uint32_t>(partner.partner.lanes);
  job->origin_core = environment_.courier->own_core();
  job->origin = this;
  job->connection = id.connection;
  job->exchange = id.exchange;
  job->partner = &partner;
  job->table_use = environment_.tables->acquire();
  const uint32_t home =
      ingest::home_core(partner.partner.id, 0, environment_.courier->core_count());
  job->receiver = (*environment_.lanes)[home].reads;
  ++in_use_;
  environment_.courier->send(home, *job.release());
}

void ReadHandler::receive(Message& message) {
  const std::unique_ptr<Job> job(static_cast<Job*>(&message));
  --in_use_;
  const Partner& partner = job->partner->partner;
  body_.clear();
  Answer answer;
  if (!job->ok) {
    LOG_WARNING("read", "partner=" + partner.partner_code + " read failed: " + job->error);
    std::string message = "the database cannot be read now; try again";
    if (job->journal_waiting > 0) {
      message += " (" + std::to_string(job->journal_waiting) +
                 " accepted postbacks wait for it in the journal)";
    }
    append_error(&body_, "database_unavailable", message);
    answer.status = 503;
    answer.retry_after_s = kRetryAfterS;
  } else if (job->kind == StoreRead::Kind::stats) {
    append_stats(&body_, partner, job->hours, *job, environment_.clock->wall_us());
  } else {
    append_conversions(&body_, partner, *job);
  }
  answer.body = body_;
  environment_.connections->answer({job->connection, job->exchange}, answer);
  environment_.tables->release(job->table_use);
}

}  // namespace postback::server
