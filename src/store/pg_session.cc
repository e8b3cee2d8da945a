#include "store/pg_session.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "store/pg_sqlstate.h"

namespace postback::store {
namespace {

constexpr uint64_t kMillisecondNs = 1'000'000;
constexpr const char* kMaintenanceDatabase = "postgres";
constexpr const char* kMaintenanceFallback = "template1";

bool names_sqlstate(const std::string& connect_error, std::string_view sqlstate) {
  return connect_error.find(std::string(sqlstate) + ":") != std::string::npos;
}

}  // namespace

PgSession::PgSession(PgSessionOptions options, PgSessionClient* client)
    : options_(std::move(options)),
      client_(client),
      connection_(options_.loop, this),
      setup_(&connection_, options_.limits, options_.statements, options_.claim),
      pipeline_(&connection_, options_.statements, options_.limits),
      random_(options_.random_seed | 1) {}

PgSession::~PgSession() {
  CHECK(phase_ == Phase::none && question_ == nullptr);
}

void PgSession::open() {
  if (shut_) return;
  if (phase_ == Phase::closing) {
    open_after_ = true;
  } else if (state_ == StoreState::idle && phase_ == Phase::none) {
    begin_attempt();
  }
}

void PgSession::begin_attempt() {
  // A session that was down stays so for its user until it is up: a server that hangs must not
  // take a batch hostage at each attempt.
  if (state_ == StoreState::idle) set_state(StoreState::connecting, "");
  goal_ = Goal::use;
  database_created_ = false;
  connect_again_ = false;
  creation_error_.clear();
  hosts_ = options_.target.hosts;
  host_index_ = 0;
  phase_ = Phase::resolving;
  allow(options_.connect_ms);
  resolve_next();
}

void PgSession::resolve_next() {
  while (host_index_ < hosts_.size() && !hosts_[host_index_].needs_resolving()) ++host_index_;
  if (host_index_ == hosts_.size()) {
    connect();
    return;
  }
  CHECK(options_.resolver != nullptr);
  auto question = std::make_unique<Resolve>();
  question->host = hosts_[host_index_].host;
  question->mailbox = options_.mailbox;
  question->asker = this;
  Resolve* asked = question.get();
  if (options_.resolver->ask(&question)) {
    question_ = asked;
  } else {
    give_up(StoreState::down, "too many host names wait to be resolved");
  }
}

void PgSession::receive(Message& message) {
  const std::unique_ptr<Resolve> answer(static_cast<Resolve*>(&message));
  CHECK(answer.get() == question_);
  question_ = nullptr;
  if (phase_ != Phase::resolving) {
    settle();  // Given up, too late to call the question off.
    return;
  }
  if (answer->addresses.empty()) {
    give_up(StoreState::down, "cannot resolve host " + answer->host + ": " + answer->error);
    return;
  }
  // A name with several addresses becomes several hosts of that name, as libpq does it.
  const PgHost named = hosts_[host_index_];
  hosts_.erase(hosts_.begin() + static_cast<ptrdiff_t>(host_index_));
  for (const std::string& address : answer->addresses) {
    PgHost host = named;
    host.hostaddr = address;
    hosts_.insert(hosts_.begin() + static_cast<ptrdiff_t>(host_index_++), host);
  }
  resolve_next();
}

void PgSession::connect() {
  phase_ = Phase::connecting;
  allow(options_.connect_ms);
  std::stable_partition(hosts_.begin(), hosts_.end(),
                        [this](const PgHost& host) { return !is_refused(host); });
  const std::string& database =
      goal_ == Goal::use ? options_.target.database : maintenance_database_;
  connection_.start(options_.target.connect_parameters(hosts_, database));
}

void PgSession::connection_established() {
  if (goal_ == Goal::create_database) {
    create_database();
    return;
  }
  phase_ = Phase::setup;
  allow(options_.connect_ms);
  setup_.start(!options_.known->was_open());
}

void PgSession::connection_result(const PGresult* result) {
  switch (phase_) {
    case Phase::up:
      up_result(result);
      return;
    case Phase::setup:
      setup_result(result);
      return;
    case Phase::creating:
      creating_result(result);
      return;
    case Phase::none:
    case Phase::resolving:
    case Phase::connecting:
    case Phase::closing:
      return;
  }
}

void PgSession::up_result(const PGresult* result) {
  if (pipeline_.takes(result)) return;
  const char* sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  if (sqlstate != nullptr && is_of_a_pooler(sqlstate)) setup_.expect_pooler();
  client_->session_result(result);
}

void PgSession::setup_result(const PGresult* result) {
  const PgSetup::Outcome outcome = setup_.result(result);
  switch (outcome) {
    case PgSetup::Outcome::running:
      allow(setup_.is_migrating() ? kDdlMsMax : options_.connect_ms);
      return;
    case PgSetup::Outcome::ready:
      if (!recognise(setup_.facts().identity)) return;
      options_.known->note_open();
      standby_ = setup_.facts().standby;
      ++openings_;
      phase_ = Phase::up;
      pipeline_.begin(setup_.is_pooled());
      set_state(StoreState::up, "");
      client_->session_up();
      return;
    case PgSetup::Outcome::gone:
      found_gone(setup_.error());
      return;
    case PgSetup::Outcome::failed:
    case PgSetup::Outcome::schema_wrong:
      give_up(outcome == PgSetup::Outcome::failed ? StoreState::down : StoreState::schema_wrong,
              options_.target.clean_error(setup_.error()));
      return;
  }
}

// False: given up, for this server must not be written to.
bool PgSession::recognise(const DatabaseIdentity& identity) {
  const base::Status met = options_.known->meet(identity);
  if (!met.ok()) {
    pass_over_host();
    give_up(StoreState::down, met.message());
    return false;
  }
  const std::string difference = identity_difference(identity_, identity);
  if (!difference.empty()) {
    ++identity_changes_;
    LOG_WARNING("store", options_.name + " is not the one it was: " + difference);
  }
  identity_ = identity;
  return true;
}

bool PgSession::judge(const PgFacts& facts) {
  if (facts.index != PgFacts::Index::right) {
    give_up(StoreState::schema_wrong, pg_index_error(facts));
    return false;
  }
  standby_ = facts.standby;
  return recognise(facts.identity);
}

// What was there is not there any more, and is not made anew here.
void PgSession::found_gone(const std::string& what) {
  // Counted once; a session that has met nothing yet has nothing to take back.
  if (!identity_.incarnation.empty()) {
    ++identity_changes_;
    identity_ = {};
  }
  next_state_ = StoreState::down;
  next_error_ = options_.known->gone_text(what);
  if (phase_ == Phase::setup) {
    give_up(next_state_, next_error_);
  } else {
    settle();
  }
}

// The server that is connected is the last to be tried from now on: libpq takes the first one that
// can be written to.
void PgSession::pass_over_host() {
  const char* address = PQhostaddr(connection_.raw());
  const bool has_address = address != nullptr && *address != '\0';
  refused_address_ = has_address ? address : PQhost(connection_.raw());
  refused_port_ = PQport(connection_.raw());
}

bool PgSession::is_refused(const PgHost& host) const {
  const std::string& address = host.hostaddr.empty() ? host.host : host.hostaddr;
  return address == refused_address_ && (host.port.empty() ? "5432" : host.port) == refused_port_;
}

// UTF8 whatever the server's default is: our text is UTF-8. template0 is the one template that
// takes another encoding, and that nobody can be connected to.
void PgSession::create_database() {
  phase_ = Phase::creating;
  allow(kDdlMsMax);
  const std::string& name = options_.target.database;
  const std::unique_ptr<char, decltype(&PQfreemem)> quoted(
      PQescapeIdentifier(connection_.raw(), name.data(), name.size()), &PQfreemem);
  if (!quoted) {
    give_up(StoreState::down, "the database's name cannot be quoted; rename it");
    return;
  }
  const std::string sql =
      std::string("CREATE DATABASE ") + quoted.get() + " ENCODING 'UTF8' TEMPLATE template0";
  connection_.send_query(sql.c_str());
}

void PgSession::creating_result(const PGresult* result) {
  if (result != nullptr) {
    if (PQresultStatus(result) == PGRES_COMMAND_OK) return;
    const char* field = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const std::string_view sqlstate = field == nullptr ? "" : field;
    if (!is_database_made_meanwhile(sqlstate)) creation_error_ = PQresultErrorMessage(result);
    return;
  }
  if (!creation_error_.empty()) {
    give_up(StoreState::down, "database " + options_.target.database +
                                  " does not exist and could not be created (create it, or give "
                                  "the role CREATEDB): " +
                                  options_.target.clean_error(creation_error_));
    return;
  }
  LOG_INFO("store", "created database " + options_.target.database);
  database_created_ = true;
  goal_ = Goal::use;
  connect_again_ = true;
  phase_ = Phase::closing;
  connection_.close();
}

void PgSession::connection_closed(const std::string& error) {
  if (phase_ == Phase::closing) {
    if (connect_again_) {
      connect_again_ = false;
      connect();
    } else {
      settle();
    }
    return;
  }
  if (phase_ == Phase::connecting) {
    attempt_failed(error);
    return;
  }
  next_state_ = StoreState::down;
  next_error_ = options_.target.clean_error(error);
  settle();
}

// A refused connection. The one refusal with a remedy is the missing database.
void PgSession::attempt_failed(const std::string& error) {
  const bool is_missing = names_sqlstate(error, kUndefinedDatabase) && goal_ == Goal::use;
  if (is_missing && options_.known->was_open()) {
    found_gone("database " + options_.target.database + " does not exist any more");
    return;
  }
  if (names_sqlstate(error, kUndefinedDatabase) && !database_created_) {
    const bool next = goal_ == Goal::use || maintenance_database_ == kMaintenanceDatabase;
    if (next) {
      maintenance_database_ = goal_ == Goal::use ? kMaintenanceDatabase : kMaintenanceFallback;
      goal_ = Goal::create_database;
      connect();
      return;
    }
  }
  next_state_ = StoreState::down;
  next_error_ = options_.target.clean_error(error);
  settle();
}

void PgSession::give_up(StoreState next, const std::string& error) {
  if (phase_ == Phase::none) return;
  next_state_ = next;
  next_error_ = error;
  connect_again_ = false;
  if (phase_ == Phase::closing) return;
  phase_ = Phase::closing;
  if (connection_.is_open()) {
    connection_.close();
    return;
  }
  if (question_ != nullptr) {
    if (!Resolver::abandon(question_)) return;  // receive() settles.
    question_ = nullptr;
  }
  options_.loop->timer_start(std::chrono::nanoseconds(0), this, 0);
}

void PgSession::complete(const Completion& completion) {
  if (completion.event == Event::timer && phase_ == Phase::closing) settle();
}

void PgSession::settle() {
  phase_ = Phase::none;
  const StoreState next = shut_ ? StoreState::idle : next_state_;
  if (next == StoreState::down) retry_at_ns_ = options_.loop->now_ns() + retry_delay_ns();
  if (next == StoreState::schema_wrong) {
    retry_at_ns_ =
        options_.loop->now_ns() + static_cast<uint64_t>(schema_retry_ms_) * kMillisecondNs;
    schema_retry_ms_ = std::min(2 * schema_retry_ms_, kSchemaRetryMs);
  }
  set_state(next, next_error_);
  const bool again = std::exchange(open_after_, false) && !shut_;
  if (again && state_ == StoreState::idle) {
    begin_attempt();
    return;
  }
  client_->session_down();
}

void PgSession::rest() {
  if (phase_ == Phase::none && state_ == StoreState::down) state_ = StoreState::idle;
}

void PgSession::shut() {
  shut_ = true;
  open_after_ = false;
  give_up(StoreState::idle, "");
}

void PgSession::tick(uint64_t now_ns) {
  connection_.tick();
  if (shut_) return;
  if (phase_ == Phase::none) {
    const bool waits = state_ == StoreState::down || state_ == StoreState::schema_wrong;
    if (waits && now_ns >= retry_at_ns_) begin_attempt();
  } else if (phase_ != Phase::up && phase_ != Phase::closing && now_ns >= deadline_ns_) {
    take_time_limit();
  }
}

void PgSession::take_time_limit() {
  const char* doing = "connecting";
  if (phase_ == Phase::resolving) doing = "resolving the host name";
  if (phase_ == Phase::setup) doing = "looking at the schema";
  if (phase_ == Phase::creating) doing = "creating the database";
  // libpq tries the next host only after a refusal: a silent one must not be the first again.
  auto& hosts = options_.target.hosts;
  if (phase_ == Phase::connecting) std::rotate(hosts.begin(), hosts.begin() + 1, hosts.end());
  give_up(StoreState::down, std::string("no answer in time while ") + doing);
}

void PgSession::allow(int milliseconds) {
  deadline_ns_ = options_.loop->now_ns() + static_cast<uint64_t>(milliseconds) * kMillisecondNs;
}

// Doubles from kRetryMsMin to kRetryMsMax, plus or minus a quarter, so that many lanes do not come
// back in step.
uint64_t PgSession::retry_delay_ns() {
  random_ ^= random_ << 13;  // xorshift64, Marsaglia 2003.
  random_ ^= random_ >> 7;
  random_ ^= random_ << 17;
  const uint64_t base_ns = static_cast<uint64_t>(retry_ms_) * kMillisecondNs;
  retry_ms_ = std::min(retry_ms_ * 2, kRetryMsMax);
  return base_ns * 3 / 4 + random_ % (base_ns / 2);
}

void PgSession::set_state(StoreState state, const std::string& error) {
  const bool changed = state != state_ || error != error_;
  state_ = state;
  error_ = error;
  if (!changed) return;
  const std::string line = options_.name + ": " + store_state_name(state);
  if (!error.empty()) {
    LOG_WARNING("store", line + ": " + error);
  } else if (state == StoreState::up) {
    LOG_INFO("store", line + (setup_.is_pooled() ? ", through a pooler: each transaction brings "
                                                   "its settings"
                                                 : ""));
  } else {
    LOG_DEBUG("store", line);
  }
}

}  // namespace postback::store
