// A connection that is kept alive: resolves, connects, creates a missing database, sets up (see
// pg_setup.h), and after a loss tries again with a growing pause.
//
//   idle → connecting → up ⇄ down (an attempt failed or the connection was lost; retried)
//                          ⇄ schema_wrong (retried every kSchemaRetryMs)
//
// Each connection is judged by what the server says of itself (pg_facts.h): one that is on a lower
// timeline than was seen is given up, and the next host is tried first; a database that is not the
// one of before counts in identity_changes(). One that this process has had open is not created
// again (known_databases.h).
//
// Owner: PgWriter or PgReader. Thread: the core's; nothing blocks. Callbacks come from the loop or
// the mailbox only, never from inside a call.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "io/mailbox.h"
#include "postback/loop.h"
#include "postback/store.h"
#include "store/known_databases.h"
#include "store/partner_claim.h"
#include "store/pg_connection.h"
#include "store/pg_facts.h"
#include "store/pg_pipeline.h"
#include "store/pg_setup.h"
#include "store/pg_url.h"
#include "store/resolver.h"

namespace postback::store {

class PgSessionClient {
 public:
  // Statements may be sent.
  virtual void session_up() = 0;
  // A result in pipeline mode; valid during the call.
  virtual void session_result(const PGresult* result) = 0;
  // The connection is gone and nothing is outstanding on it; status() says why. Also comes when an
  // attempt to connect failed, and after shut().
  virtual void session_down() = 0;

 protected:
  ~PgSessionClient() = default;
};

struct PgSessionOptions {
  PgTarget target;
  std::string name;  // For the log: the URL without secrets, and what the session is for.
  Loop* loop = nullptr;
  io::Mailbox* mailbox = nullptr;
  Resolver* resolver = nullptr;
  KnownDatabase* known = nullptr;
  PartnerClaim claim;
  int connect_ms = 1500;
  PgServerLimits limits;
  std::span<const PgStatement> statements;
  uint64_t random_seed = 1;
};

class PgSession final : PgConnectionClient, LoopClient, MessageReceiver {
 public:
  PgSession(PgSessionOptions options, PgSessionClient* client);
  ~PgSession();

  // Starts connecting when idle; otherwise does nothing.
  void open();
  // Gives up what there is, connection or attempt; session_down() follows once.
  void give_up(StoreState next, const std::string& error);
  // A down session that nobody needs becomes idle: no further attempt until open().
  void rest();
  // The last call: as give_up(idle), and nothing is opened any more.
  void shut();
  void tick(uint64_t now_ns);
  // The database did what was asked of it: the next loss is retried quickly again.
  void note_success() {
    retry_ms_ = kRetryMsMin;
    schema_retry_ms_ = kSchemaRetryMsMin;
  }

  // What a look at the live connection has brought. False: the session was given up for it.
  bool judge(const PgFacts& facts);

  // See StoreStatus.
  uint32_t openings() const { return openings_; }
  uint32_t identity_changes() const { return identity_changes_; }
  bool is_server_told() const { return setup_.is_server_told(); }
  StandbyWait standby() const { return standby_; }
  StoreState state() const { return state_; }
  const std::string& error() const { return error_; }
  bool is_up() const { return phase_ == Phase::up; }
  bool is_settled() const { return phase_ == Phase::none; }  // Nothing is outstanding.
  bool is_connected() const { return connection_.is_open(); }
  PgPipeline& pipeline() { return pipeline_; }  // Requires is_up().

 private:
  enum class Phase : uint8_t { none, resolving, connecting, setup, creating, up, closing };
  enum class Goal : uint8_t { use, create_database };

  static constexpr int kRetryMsMin = 50;
  static constexpr int kRetryMsMax = 1000;
  // A schema that served a moment ago may be right, and a row at fault; see ingest/suspects.h.
  static constexpr int kSchemaRetryMsMin = 250;
  static constexpr int kSchemaRetryMs = 5000;
  static constexpr int kDdlMsMax =
      30000;  // CREATE DATABASE copies files; migrations build indexes.

  void connection_established() override;
  void connection_result(const PGresult* result) override;
  void connection_closed(const std::string& error) override;
  void complete(const Completion& completion) override;
  void receive(Message& message) override;

  void begin_attempt();
  void resolve_next();
  void connect();
  void create_database();
  void creating_result(const PGresult* result);
  void setup_result(const PGresult* result);
  void up_result(const PGresult* result);
  void attempt_failed(const std::string& error);
  bool recognise(const DatabaseIdentity& identity);
  void found_gone(const std::string& what);
  void pass_over_host();
  bool is_refused(const PgHost& host) const;
  void settle();
  void set_state(StoreState state, const std::string& error);
  void allow(int milliseconds);
  uint64_t retry_delay_ns();
  void take_time_limit();

  PgSessionOptions options_;
  PgSessionClient* client_;
  PgConnection connection_;
  PgSetup setup_;
  PgPipeline pipeline_;
  Phase phase_ = Phase::none;
  Goal goal_ = Goal::use;
  StoreState state_ = StoreState::idle;
  std::string error_;
  DatabaseIdentity identity_;  // As met last.
  uint32_t openings_ = 0;
  uint32_t identity_changes_ = 0;
  StandbyWait standby_ = StandbyWait::unknown;
  std::string refused_address_;  // Of the server that was on a lower timeline last.
  std::string refused_port_;

  // While closing: what comes after.
  StoreState next_state_ = StoreState::idle;
  std::string next_error_;
  bool connect_again_ = false;  // Not to settle: to the database that was missing.
  bool open_after_ = false;     // open() was called meanwhile.
  bool shut_ = false;

  std::vector<PgHost> hosts_;    // Of this attempt, addresses filled in as they become known.
  size_t host_index_ = 0;        // The next to resolve.
  Resolve* question_ = nullptr;  // Owned by the resolver.
  std::string maintenance_database_;
  bool database_created_ = false;  // In this attempt: a second 3D000 is an error.
  std::string creation_error_;
  uint64_t deadline_ns_ = 0;
  uint64_t retry_at_ns_ = 0;
  int retry_ms_ = kRetryMsMin;
  int schema_retry_ms_ = kSchemaRetryMs;
  uint64_t random_;
};

}  // namespace postback::store
