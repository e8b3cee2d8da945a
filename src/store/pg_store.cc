#include "store/pg_store.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "store/known_databases.h"
#include "store/pg_reader.h"
#include "store/pg_writer.h"

namespace postback::store {
namespace {

class PgStore final : public Store, PgWriterClient, PgReaderClient, LoopClient {
 public:
  PgStore(const StoreOptions& options, const PgSessionOptions& writer,
          const PgSessionOptions& reader, StoreClient* client)
      : loop_(options.loop),
        client_(client),
        writer_(writer, options.writer_id, options.batch_ms, options.idle_ms, this),
        reader_(reader, options.read_ms, options.idle_ms, this) {}

  ~PgStore() override { CHECK(!soon_); }

  const char* kind() const override { return "postgresql"; }
  bool can_submit() const override { return !closing_ && writer_.can_submit(); }
  void submit(Batch& batch) override { writer_.submit(batch); }
  void read(StoreRead& read) override { reader_.read(read); }
  void open() override { writer_.open(); }

  void tick(uint64_t now_ns) override {
    writer_.tick(now_ns);
    reader_.tick(now_ns);
  }

  StoreStatus status() const override {
    StoreStatus status;
    status.state = writer_.session().state();
    status.error = writer_.session().error();
    status.connections =
        (writer_.session().is_connected() ? 1u : 0u) + (reader_.session().is_connected() ? 1u : 0u);
    status.openings = writer_.session().openings();
    status.identity_changes = writer_.session().identity_changes();
    status.standby = writer_.session().standby();
    status.batches_in_flight = static_cast<uint32_t>(writer_.in_flight());
    return status;
  }

  void close() override {
    CHECK(!closing_);
    closing_ = true;
    writer_.shut();
    reader_.shut();
    soon();
  }

 private:
  void writer_batch_done(Batch& batch) override {
    client_->batch_done(batch);
    if (closing_) soon();
  }
  void writer_changed() override {
    client_->store_changed();
    if (closing_) soon();
  }
  void reader_read_done(StoreRead& read) override { client_->read_done(read); }
  void reader_changed() override {
    if (closing_) soon();
  }
  void reader_has_results() override { soon(); }

  // Asks the loop for complete(): the place outside of every call, where callbacks may be made.
  void soon() {
    if (soon_) return;
    soon_ = true;
    loop_->timer_start(std::chrono::nanoseconds(0), this, 0);
  }

  void complete(const Completion& completion) override {
    if (completion.event != Event::timer) return;
    soon_ = false;
    reader_.deliver();
    const bool settled = writer_.is_settled() && reader_.is_settled();
    if (!closing_ || !settled || closed_ || soon_) return;
    closed_ = true;
    client_->store_closed();
  }

  Loop* loop_;
  StoreClient* client_;
  PgWriter writer_;
  PgReader reader_;
  bool soon_ = false;  // A timer is on its way to complete().
  bool closing_ = false;
  bool closed_ = false;
};

}  // namespace

base::Result<std::unique_ptr<Store>> make_pg_store(const StoreOptions& options, Resolver* resolver,
                                                   KnownDatabases* known, StoreClient* client) {
  base::Result<PgTarget> target = parse_pg_url(options.url);
  if (!target.ok()) return target.status();
  PgSessionOptions writer;
  writer.target = target.take();
  writer.name = "postgresql database " + writer.target.database;
  writer.loop = options.loop;
  writer.mailbox = options.mailbox;
  writer.resolver = resolver;
  writer.known = &known->at(writer.target.place(), options.partner_code, options.memory_epoch);
  writer.claim = {options.partner_id, options.partner_code, options.registry_id};
  writer.connect_ms = options.connect_ms;
  writer.statements = pg_writer_statements();
  writer.random_seed = static_cast<uint64_t>(options.writer_id) * 2 + 1;
  // A lock is given up while there is time to hear of it before the connection is given up.
  writer.limits.statement_ms = options.batch_ms;
  writer.limits.lock_ms = std::max(1, options.batch_ms * 2 / 3);
  PgSessionOptions reader = writer;
  reader.name += " (reads)";
  reader.statements = pg_reader_statements();
  reader.random_seed += 1;
  reader.limits.statement_ms = options.read_ms;
  reader.limits.lock_ms = std::max(1, options.read_ms * 2 / 3);
  return std::unique_ptr<Store>(new PgStore(options, writer, reader, client));
}

}  // namespace postback::store
