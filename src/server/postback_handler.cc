#include "server/postback_handler.h"

#include "base/check.h"
#include "base/log.h"
#include "server/answers.h"

namespace postback::server {
namespace {

using ingest::Outcome;
using ingest::outcome_name;
using ingest::Postback;

constexpr size_t kTakenBytesKept = 16 * 1024;

}  // namespace

void PostbackHandler::handle(const ExchangeId& id, const http::Request& request,
                             std::string_view peer_ip, const partner::PartnerEntry& partner) {
  Postback* postback = pool_.take();
  if (postback == nullptr) {
    body_.clear();
    append_error(&body_, "overloaded", "too many postbacks are waiting; try again later");
    environment_.connections->answer(id,
                                     {.status = 503, .body = body_, .retry_after_s = kRetryAfterS});
    return;
  }
  postback->started_ns = environment_.clock->monotonic_ns();
  conversion::RawPostback raw;
  raw.method = request.method_name;
  raw.target = request.target;
  raw.query = request.query;
  raw.content_type = request.content_type;
  raw.body = request.body;
  raw.headers = request.headers;
  raw.header_section = request.header_section;
  raw.request_ip = peer_ip;
  raw.received_at_us = environment_.clock->wall_us();
  reader_.read(*partner.mapping, raw, &postback->conversion);
  postback->conversion.partner_id = partner.partner.id;

  postback->partner = &partner;
  postback->table_use = environment_.tables->acquire();
  postback->connection = id.connection;
  postback->exchange = id.exchange;
  postback->origin_core = environment_.courier->own_core();
  postback->origin = this;
  postback->origin_early = &early_door_;
  postback->slice =
      ingest::slice_of(partner.partner, postback->conversion.text(Field::conversion_id));
  if (partner.partner.enable_logging && base::log_enabled(base::LogLevel::debug)) {
    log_steps(*postback, request.target);
  }
  const uint32_t home =
      ingest::home_core(partner.partner.id, postback->slice, environment_.courier->core_count());
  postback->receiver = (*environment_.lanes)[home].postbacks;
  environment_.courier->send(home, *postback);
}

void PostbackHandler::receive(Message& message) {
  auto& postback = static_cast<Postback&>(message);
  if (!postback.answered) answer(postback, postback.outcome);
  environment_.tables->release(static_cast<TableUses::Use*>(postback.table_use));
  pool_.give_back(&postback);
}

void PostbackHandler::EarlyDoor::receive(Message& message) {
  const auto& early = static_cast<const ingest::EarlyAnswer&>(message);
  handler_->answer(*early.postback, early.outcome);
}

void PostbackHandler::answer(const Postback& postback, Outcome outcome) {
  const Partner& partner = postback.partner->partner;
  const Conversion& conversion = postback.conversion;
  const uint64_t time_us = (environment_.clock->monotonic_ns() - postback.started_ns) / 1000;
  body_.clear();
  taken_.clear(kTakenBytesKept);
  Answer answer;
  switch (outcome) {
    case Outcome::pending:
      CHECK(false);
      break;
    case Outcome::success:
      append_success(&taken_, postback.partner->answered_json, conversion, time_us);
      break;
    case Outcome::accepted:
      append_accepted(&taken_, postback.partner->answered_json, conversion, time_us);
      break;
    case Outcome::duplicate:
      append_duplicate(&taken_, partner, conversion);
      break;
    case Outcome::quarantined:
      if (partner.on_invalid == OnInvalid::accept) {
        append_quarantined(&body_, partner, conversion);
      } else {
        answer.status = reason_http_status(conversion.reason);
        append_error(&body_, reason_name(conversion.reason), conversion.text(Field::fault_message),
                     conversion.text(Field::fault_field));
      }
      break;
    case Outcome::unavailable:
      answer.status = 503;
      answer.retry_after_s = kRetryAfterS;
      append_error(&body_, "database_unavailable",
                   "the conversion could not be stored now; send it again");
      break;
  }
  answer.body = body_.empty() ? taken_.view() : body_;
  environment_.connections->answer({postback.connection, postback.exchange}, answer);
  log_outcome(postback, outcome, time_us);
}

// The step log is for finding out why a partner's calls are not understood; it shows values as they
// came, so it is off above DEBUG.
void PostbackHandler::log_steps(const Postback& postback, std::string_view target) {
  const Partner& partner = postback.partner->partner;
  const Conversion& conversion = postback.conversion;
  const std::string prefix =
      "endpoint=" + partner.endpoint_path + " partner=" + partner.partner_name + " ";
  LOG_DEBUG("postback", prefix + "target=" + std::string(target));
  LOG_DEBUG("postback", prefix + "raw=" + std::string(conversion.text(Field::raw_data)));
  for (const conversion::MappedStep& step : reader_.steps()) {
    LOG_DEBUG("postback", prefix + std::string(step.name) + " -> " +
                              std::string(step.partner_name) + " = " + std::string(step.value));
  }
  if (conversion.reason != Reason::none) {
    LOG_DEBUG("postback", prefix +
                              "quarantine reason=" + std::string(reason_name(conversion.reason)) +
                              " " + std::string(conversion.text(Field::fault_message)));
  }
}

void PostbackHandler::log_outcome(const Postback& postback, Outcome outcome, uint64_t time_us) {
  const Partner& partner = postback.partner->partner;
  const Conversion& conversion = postback.conversion;
  const bool steps = partner.enable_logging && base::log_enabled(base::LogLevel::debug);
  if (!steps && !environment_.settings->log_postbacks) return;
  std::string time;
  append_milliseconds(&time, time_us);
  const std::string id(conversion.text(Field::conversion_id));
  if (!steps) {
    LOG_INFO("postback", "partner=" + partner.partner_name + " conversion_id=" +
                             base::masked_id(id) + " outcome=" + outcome_name(outcome) +
                             " ip=" + base::masked_ip(conversion.text(Field::request_ip)) +
                             " time=" + time + "ms");
    return;
  }
  const std::string prefix =
      "endpoint=" + partner.endpoint_path + " partner=" + partner.partner_name + " ";
  if (outcome == Outcome::unavailable) {
    LOG_DEBUG("postback", prefix + "not stored: the database is not available");
  } else if (outcome == Outcome::accepted) {
    LOG_DEBUG("postback", prefix + "in the journal as row id=" + std::to_string(conversion.id) +
                              ": the database is not available");
  } else if (outcome != Outcome::quarantined) {
    // What goes to the quarantine is kept each time it comes.
    LOG_DEBUG("postback",
              prefix + "duplicate check: " + (outcome == Outcome::duplicate ? "duplicate" : "new"));
  }
  if (outcome == Outcome::success || outcome == Outcome::quarantined) {
    LOG_DEBUG("postback", prefix + "stored row id=" + std::to_string(conversion.id) + " as " +
                              outcome_name(outcome));
  }
  LOG_DEBUG("postback",
            "partner=" + partner.partner_name + " conversion_id=" + id + " time=" + time + "ms");
}

}  // namespace postback::server
