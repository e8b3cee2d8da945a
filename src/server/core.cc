#include "server/core.h"

#include "base/check.h"
#include "base/log.h"
#include "server/answers.h"

namespace postback::server {

Core::Core(uint32_t index, std::unique_ptr<Loop> loop, std::string engine_reason,
           CoreShared* shared)
    : index_(index),
      shared_(shared),
      loop_(std::move(loop)),
      engine_reason_(std::move(engine_reason)),
      mailbox_(loop_.get()) {}

Core::~Core() = default;

void Core::publish() {
  shared_->mailboxes[index_] = &mailbox_;
  shared_->surveys[index_] = &survey_door_;
  shared_->tables[index_] = &table_door_;
  shared_->stops[index_] = &stop_door_;
  const size_t core_count = shared_->mailboxes.size();
  const auto ids_max = static_cast<size_t>(shared_->settings->dedupe_ids_max);
  dedupe_ = std::make_unique<ingest::DedupeSet>(std::max<size_t>(2, ids_max / core_count));
  // The courier needs every mailbox: lanes and handlers are given its address now and use it only
  // after assemble().
  courier_ = std::make_unique<io::Courier>(index_, static_cast<uint32_t>(core_count));
  ingest::LaneEnvironment environment;
  environment.loop = loop_.get();
  environment.mailbox = &mailbox_;
  environment.courier = courier_.get();
  environment.dedupe = dedupe_.get();
  environment.services = shared_->services;
  environment.clock = shared_->clock;
  environment.journal = shared_->journal->writer();
  environment.backlog = shared_->journal->backlog();
  environment.spill_bytes_max = shared_->journal->spill_bytes_max();
  environment.budget_ns = static_cast<uint64_t>(shared_->settings->ack_budget_ms) * kMillisecondNs;
  environment.writer_base = shared_->writer_base;
  environment.receivers = &shared_->lanes;
  lanes_ = std::make_unique<ingest::LaneTable>(environment);
  shared_->lanes[index_] = lanes_->receivers();
}

void Core::assemble() {
  courier_->connect(shared_->mailboxes);
  connections_ = std::make_unique<Connections>(loop_.get(), shared_->clock, this,
                                               kHalfSentBytesMax / shared_->mailboxes.size());
  postbacks_ = std::make_unique<PostbackHandler>(
      PostbackHandler::Environment{shared_->settings, shared_->clock, connections_.get(),
                                   courier_.get(), &shared_->lanes, &tables_});
  reads_ = std::make_unique<ReadHandler>(ReadHandler::Environment{
      shared_->clock, connections_.get(), courier_.get(), &tables_, shared_->desk});
}

void Core::run(int listener) {
  connections_->start(listener);
  while (!closing_ || !lanes_->all_closed() || !connections_->empty()) turn();
}

// One turn: what happened, what that caused, what goes out.
void Core::turn() {
  for (const Completion& completion : loop_->turn(std::chrono::nanoseconds(kTickIntervalNs))) {
    completion.client->complete(completion);
  }
  mailbox_.drain();
  settle_messages();
  const uint64_t now_ns = loop_->now_ns();
  if (now_ns >= next_tick_ns_) {
    next_tick_ns_ = now_ns + kTickIntervalNs;
    lanes_->tick(now_ns);
  }
  if (now_ns >= next_sweep_ns_) {
    next_sweep_ns_ = now_ns + kSweepIntervalNs;
    connections_->sweep(now_ns);
  }
  settle_messages();
  courier_->post();
  if (draining_) check_drained();
}

// Delivers what this core sent to itself, hands batches to the stores and answers to the loop,
// until nothing more comes of it: answering may resume a connection, whose next requests are new
// messages.
void Core::settle_messages() {
  do {
    courier_->deliver_local();
    lanes_->flush();
    connections_->flush();
  } while (courier_->has_local());
}

uint64_t Core::handle(const ExchangeId& id, const http::Request& request,
                      std::string_view peer_ip) {
  const Route found = routes_.find(tables_.current(), request.path);
  if (refuse_method(id, request, found)) return 0;
  switch (found.kind) {
    case RouteKind::postback:
      postbacks_->handle(id, request, peer_ip, *found.partner);
      return kPostbackLimitNs;
    case RouteKind::stats:
      connections_->begin_report(id);
      reads_->handle(id, request.query, StoreRead::Kind::stats, *found.partner);
      return kReadLimitNs;
    case RouteKind::conversions:
      connections_->begin_report(id);
      reads_->handle(id, request.query, StoreRead::Kind::conversions, *found.partner);
      return kReadLimitNs;
    case RouteKind::health:
      start_survey(id, Survey::Kind::health);
      return kReadLimitNs;
    case RouteKind::info:
      start_survey(id, Survey::Kind::info);
      return kReadLimitNs;
    case RouteKind::metrics:
      start_survey(id, Survey::Kind::metrics);
      return kReadLimitNs;
    case RouteKind::unknown_partner:
      answer_unknown_partner(id);
      return 0;
    case RouteKind::not_found:
      answer_error(id, 404, "not_found", "no such path; postbacks go to /partner/{endpoint_path}");
      return 0;
  }
  return 0;
}

// A 404 makes senders switch the URL off. So it is not given while the partner may well exist and
// only our registry is away, or was never filled (another file, init was forgotten). The cache's
// partners are those of some time ago: one may have been added, or made active, since.
void Core::answer_unknown_partner(const ExchangeId& id) {
  const partner::PartnerTable* table = tables_.current();
  if (table == nullptr) {
    answer_error(id, 503, "registry_unavailable",
                 "the partners are not known yet: the control database cannot be read");
  } else if (table->source() == partner::TableSource::cache) {
    answer_error(id, 503, "registry_unavailable",
                 "no partner known from before has this endpoint, and the control database cannot "
                 "be read");
  } else if (table->entries().empty()) {
    answer_error(id, 503, "registry_empty",
                 "no partner is registered: run postbackctl init, or check DATABASE_URL");
  } else {
    answer_error(id, 404, "unknown_partner", "no active partner has this endpoint");
  }
}

// True when the request was answered because of its method or coding: nothing is executed.
bool Core::refuse_method(const ExchangeId& id, const http::Request& request, const Route& found) {
  using http::Method;
  const bool is_postback = found.kind == RouteKind::postback;
  const bool is_known =
      found.kind != RouteKind::not_found && found.kind != RouteKind::unknown_partner;
  const std::string_view allow = is_postback ? "GET, POST, OPTIONS" : "GET, HEAD, OPTIONS";
  if (request.method == Method::options && (is_known || request.target == "*")) {
    const std::string_view allowed = is_known ? allow : "GET, POST, HEAD, OPTIONS";
    connections_->answer(id, {.status = 204, .allow = allowed});
    return true;
  }
  if (request.method == Method::connect) {
    body_.clear();
    append_error(&body_, "method_not_allowed", "this is not a proxy");
    connections_->answer(
        id, {.status = 405, .body = body_, .allow = "GET, POST, HEAD, OPTIONS", .close = true});
    return true;
  }
  if (!is_known) return false;
  const bool allowed = request.method == Method::get ||
                       request.method == (is_postback ? Method::post : Method::head);
  if (!allowed) {
    answer_error(id, 405, "method_not_allowed", "this path takes other methods, see Allow", allow);
    return true;
  }
  if (!request.content_encoding.empty()) {
    answer_error(id, 415, "unsupported_content_encoding", "send the body without Content-Encoding");
    return true;
  }
  return false;
}

void Core::answer_error(const ExchangeId& id, int status, std::string_view code,
                        std::string_view message, std::string_view allow) {
  body_.clear();
  append_error(&body_, code, message);
  Answer answer;
  answer.status = status;
  answer.body = body_;
  answer.allow = allow;
  answer.retry_after_s = status == 503 ? kRetryAfterS : 0;
  connections_->answer(id, answer);
}

void Core::timed_out(const ExchangeId& id) {
  answer_error(id, 503, "database_unavailable",
               "the database did not answer in time; send it again");
}

void Core::refused(const ExchangeId& id, const http::Refusal& refusal) {
  body_.clear();
  append_error(&body_, refusal.code, refusal.message);
  connections_->answer(id, {.status = refusal.status,
                            .body = body_,
                            .retry_after_s = refusal.status == 503 ? kRetryAfterS : 0,
                            .close = true});
}

void Core::start_survey(const ExchangeId& id, Survey::Kind kind) {
  connections_->begin_report(id);
  surveys_waiting_.push_back({id, kind});
  next_survey();
}

void Core::next_survey() {
  if (survey_running_ || surveys_waiting_.empty()) return;
  const SurveyRequest request = surveys_waiting_.front();
  surveys_waiting_.pop_front();
  survey_running_ = true;
  auto* survey = new Survey;  // Freed by finish_survey() on this core.
  survey->kind = request.kind;
  survey->origin_core = index_;
  survey->connection = request.id.connection;
  survey->exchange = request.id.exchange;
  survey->receiver = &survey_door_;
  courier_->send(index_, *survey);
}

void Core::survey(Survey& survey) {
  if (survey.cores.size() == shared_->mailboxes.size()) {
    finish_survey(std::unique_ptr<Survey>(&survey));
    return;
  }
  survey.cores.push_back(report());
  const auto next = static_cast<uint32_t>((index_ + 1) % shared_->mailboxes.size());
  survey.receiver = shared_->surveys[next];
  courier_->send(next, survey);
}

CoreReport Core::report() const {
  CoreReport report;
  report.core = index_;
  report.engine = loop_->name();
  report.engine_reason = engine_reason_;
  report.connections = connections_->open_count();
  report.connection_counters = connections_->counters();
  report.postbacks_in_use = postbacks_->in_use();
  report.dedupe_ids = dedupe_->size();
  report.dedupe_bytes = dedupe_->memory_bytes();
  lanes_->for_each([&report](const ingest::Lane& lane, const ingest::LaneCounters& counters) {
    LaneReport lane_report;
    lane_report.partner_id = lane.partner().id;
    lane_report.partner_code = lane.partner().partner_code;
    lane_report.partner_name = lane.partner().partner_name;
    lane_report.endpoint_path = lane.partner().endpoint_path;
    lane_report.slice = lane.slice();
    lane_report.store_kind = lane.store_kind();
    lane_report.store = lane.store_status();
    lane_report.counters = counters;
    lane_report.held = lane.held();
    lane_report.health = lane.health();
    lane_report.backlog = lane.backlog();
    report.lanes.push_back(std::move(lane_report));
  });
  return report;
}

// Written here when it is short, as it is nearly everywhere, and by the report desk otherwise.
void Core::finish_survey(std::unique_ptr<Survey> survey) {
  auto report = std::make_unique<SurveyReport>();
  ProcessReport& process = report->process;
  process.settings = shared_->settings;
  process.registry = shared_->registry->status();
  process.journal = shared_->journal->report();
  process.retention = shared_->retention->counters();
  process.partners = tables_.current();
  process.started_at_us = shared_->started_at_us;
  process.now_us = shared_->clock->wall_us();
  size_t entries = process.partners == nullptr ? 0 : process.partners->entries().size();
  for (const CoreReport& core : survey->cores) entries = std::max(entries, core.lanes.size());
  report->survey = std::move(survey);
  if (entries <= kSurveyEntriesOnCore) {
    report->status = append_survey(&report->body.text, *report->survey, process);
    answer_survey(report.get());
    return;
  }
  if (process.partners != nullptr) report->table_use = tables_.acquire();
  // Whoever watches over the server is answered in any case.
  if (report->survey->kind != Survey::Kind::health) {
    report->body.lease = ReportLease(shared_->desk->budget());
  }
  report->asker = &survey_written_door_;
  shared_->desk->write(*report.release());
}

void Core::survey_written(SurveyReport& report) {
  const std::unique_ptr<SurveyReport> written(&report);
  answer_survey(written.get());
  if (written->table_use != nullptr) tables_.release(written->table_use);
}

void Core::answer_survey(SurveyReport* report) {
  const Survey& survey = *report->survey;
  const ExchangeId id{survey.connection, survey.exchange};
  if (report->refused) {
    answer_error(id, 503, "overloaded", "too many reports are being read or sent; try again");
  } else {
    Answer answer;
    answer.status = report->status;
    answer.report = &report->body;
    if (survey.kind == Survey::Kind::metrics) {
      answer.content_type = "text/plain; version=0.0.4; charset=utf-8";
    }
    connections_->answer(id, answer);
  }
  survey_running_ = false;
  next_survey();
}

void Core::table(TableUpdate& update) {
  constexpr int kLaps = 3;
  switch (update.lap) {
    case 0:
      prepared_ = update.table;
      if (!closing_) lanes_->prepare(*update.table);
      break;
    case 1:
      tables_.replace(update.table);
      routes_.forget();
      break;
    default:
      // Unless a newer table has passed in its first lap already: it settles what is left.
      if (!closing_ && update.table == prepared_) lanes_->settle(*prepared_);
      break;
  }
  const bool is_last = index_ + 1 == shared_->mailboxes.size();
  if (is_last && ++update.lap == kLaps) {
    delete &update;
    shared_->routed();
    return;
  }
  const uint32_t next = is_last ? 0 : index_ + 1;
  update.receiver = shared_->tables[next];
  courier_->send(next, update);
}

void Core::stop(StopStep& step) {
  const std::unique_ptr<StopStep> finished(&step);
  if (step.close_lanes) {
    closing_ = true;
    connections_->close_all();
    lanes_->close_all();
  } else {
    draining_ = true;
    drain_deadline_ns_ = loop_->now_ns() + kDrainLimitNs;
    connections_->drain();
    settle_messages();
  }
}

// Tells once that this core needs the lanes no more: every client has its answer.
void Core::check_drained() {
  if (drained_) return;
  const bool is_late = loop_->now_ns() >= drain_deadline_ns_;
  if (is_late) connections_->close_all();
  const bool is_done = connections_->empty() && postbacks_->idle() && reads_->idle();
  if (!is_done && !is_late) return;
  drained_ = true;
  shared_->drained();
}

}  // namespace postback::server
