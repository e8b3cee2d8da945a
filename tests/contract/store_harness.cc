#include "store_harness.h"

#include <sqlite3.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>

#include "base/check.h"
#include "io/loop_choice.h"
#include "postgres_server.h"

namespace postback::test {
namespace {

constexpr uint64_t kTickNs = 20'000'000;

std::unique_ptr<Loop> epoll_loop() {
  auto choice = io::make_loop(base::IoEngine::epoll);
  CHECK(choice.ok());
  return std::move(choice.value().loop);
}

void sqlite_run(const std::string& path, const std::string& sql) {
  sqlite3* handle = nullptr;
  CHECK(sqlite3_open_v2(path.c_str(), &handle, SQLITE_OPEN_READWRITE, nullptr) == SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(handle, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
      << sqlite3_errmsg(handle);
  CHECK(sqlite3_close(handle) == SQLITE_OK);
}

class SqliteTestDatabase final : public TestDatabase {
 public:
  std::string url() const override { return "sqlite:" + path(); }
  Rows query(const std::string& sql) const override { return sqlite_query(path(), sql); }
  void run(const std::string& sql) const override { sqlite_run(path(), sql); }
  std::string time_sql(const std::string& column) const override { return column; }
  std::string hex_sql(const std::string& column) const override {
    return "lower(hex(" + column + "))";
  }

 private:
  // In a folder that does not exist yet.
  std::string path() const { return folder_.path() + "/data/partner.db"; }
  TestFolder folder_;
};

class PostgresTestDatabase final : public TestDatabase {
 public:
  PostgresTestDatabase(PostgresServer* server, const std::string& name)
      : server_(server), name_(name) {}
  std::string url() const override { return server_->url(name_); }
  Rows query(const std::string& sql) const override { return server_->query(name_, sql); }
  void run(const std::string& sql) const override { server_->query(name_, sql); }
  std::string time_sql(const std::string& column) const override {
    return "to_char(" + column + " AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')";
  }
  std::string hex_sql(const std::string& column) const override {
    return "encode(" + column + ", 'hex')";
  }

 private:
  PostgresServer* server_;
  std::string name_;
};

}  // namespace

TestCore::TestCore() : loop_(epoll_loop()), mailbox_(loop_.get()) {}

void TestCore::turn(std::chrono::milliseconds wait_max) {
  for (const Completion& completion : loop_->turn(wait_max)) {
    completion.client->complete(completion);
  }
  mailbox_.drain();
  const uint64_t now_ns = base::system_clock().monotonic_ns();
  if (now_ns - ticked_ns_ < kTickNs) return;
  ticked_ns_ = now_ns;
  for (Store* store : std::vector<Store*>(stores_)) store->tick(now_ns);
}

bool TestCore::run_until(const std::function<bool()>& condition, std::chrono::seconds wait_max) {
  const auto deadline = std::chrono::steady_clock::now() + wait_max;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    turn(std::chrono::milliseconds(20));
  }
  return true;
}

int64_t next_id() {
  static std::atomic<int64_t> last = 1'000'000;
  return ++last;
}

Decimal decimal(std::string_view text) {
  Decimal value;
  CHECK(Decimal::parse(text, &value));
  return value;
}

TestBatch::TestBatch() {
  partner_id = 1;
}

Conversion& TestBatch::add(std::string_view conversion_id, int32_t partner) {
  Conversion& conversion = owned_.emplace_back();
  conversion.clear();
  conversion.id = next_id();
  conversion.partner_id = partner;
  conversion.received_at_us = kSomeTimeUs;
  conversion.set(Field::conversion_id, conversion_id);
  conversions.push_back({.conversion = &conversion});
  return conversion;
}

Conversion& TestBatch::add_quarantined(Reason reason, int32_t partner) {
  Conversion& conversion = owned_.emplace_back();
  conversion.clear();
  conversion.id = next_id();
  conversion.partner_id = partner;
  conversion.received_at_us = kSomeTimeUs;
  conversion.reason = reason;
  conversion.set(Field::fault_message, "a test's fault");
  quarantined.push_back(&conversion);
  return conversion;
}

int64_t TestBatch::count(RowResult result) const {
  return std::count_if(conversions.begin(), conversions.end(),
                       [result](const BatchRow& row) { return row.result == result; });
}

TestStore::TestStore(TestCore* core, const store::StoreOptions& options) : core_(core) {
  auto made = store::make_store(options, this);
  CHECK(made.ok());
  store_ = made.take();
  core_->add(store_.get());
}

TestStore::~TestStore() {
  close();
}

void TestStore::submit(Batch& batch) {
  const bool taken = core_->run_until([this] { return store_->can_submit(); });
  EXPECT_TRUE(taken) << store_->status().error;
  std::erase(batches_done, &batch);  // Submitted again, or an earlier batch in the same place.
  if (taken) store_->submit(batch);
}

BatchResult TestStore::commit(Batch& batch) {
  submit(batch);
  EXPECT_TRUE(core_->run_until([&] { return finished(batch); }));
  return batch.result;
}

bool TestStore::finished(const Batch& batch) const {
  return std::find(batches_done.begin(), batches_done.end(), &batch) != batches_done.end();
}

StoreRead TestStore::wait_for(StoreRead read) {
  const size_t before = reads_done.size();
  store_->read(read);
  EXPECT_TRUE(core_->run_until([&] { return reads_done.size() > before; }));
  return read;
}

StoreRead TestStore::stats(int64_t since_us, int32_t partner) {
  StoreRead read;
  read.kind = StoreRead::Kind::stats;
  read.partner_id = partner;
  read.since_us = since_us;
  return wait_for(std::move(read));
}

StoreRead TestStore::conversions(int32_t limit, int64_t before_id, int32_t partner) {
  StoreRead read;
  read.kind = StoreRead::Kind::conversions;
  read.partner_id = partner;
  read.limit = limit;
  read.before_id = before_id;
  return wait_for(std::move(read));
}

void TestStore::start_close() {
  if (!closing_) store_->close();
  closing_ = true;
}

void TestStore::close() {
  start_close();
  EXPECT_TRUE(core_->run_until([this] { return closed_count > 0; }));
  core_->remove(store_.get());
}

std::string TestDatabase::value(const std::string& sql) const {
  const Rows rows = query(sql);
  return rows.empty() || rows[0].empty() ? "" : rows[0][0];
}

TestFolder::TestFolder()
    : path_(std::filesystem::temp_directory_path() / ("postback-test-" + std::string(6, 'X'))) {
  CHECK(mkdtemp(path_.data()) != nullptr);
}

TestFolder::~TestFolder() {
  std::error_code error;
  std::filesystem::remove_all(path_, error);
}

std::unique_ptr<TestDatabase> make_sqlite_database() {
  return std::make_unique<SqliteTestDatabase>();
}

std::unique_ptr<TestDatabase> make_postgres_database() {
  if (!PostgresServer::available()) return nullptr;
  static PostgresServer server;
  static int database_count = 0;
  const std::string name = "contract_" + std::to_string(++database_count);
  return std::make_unique<PostgresTestDatabase>(&server, name);
}

// Read-only: this connection must not checkpoint what the store's writer writes.
TestDatabase::Rows sqlite_query(const std::string& path, const std::string& sql) {
  sqlite3* handle = nullptr;
  CHECK(sqlite3_open_v2(path.c_str(), &handle, SQLITE_OPEN_READONLY, nullptr) == SQLITE_OK);
  sqlite3_busy_timeout(handle, 5000);
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(handle, sql.c_str(), -1, &statement, nullptr) != SQLITE_OK) {
    ADD_FAILURE() << sqlite3_errmsg(handle) << ": " << sql;
  }
  TestDatabase::Rows rows;
  while (statement != nullptr && sqlite3_step(statement) == SQLITE_ROW) {
    std::vector<std::string>& row = rows.emplace_back();
    for (int i = 0; i < sqlite3_column_count(statement); ++i) {
      const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, i));
      const auto size = static_cast<size_t>(sqlite3_column_bytes(statement, i));
      row.push_back(text == nullptr ? "NULL" : std::string(text, size));
    }
  }
  sqlite3_finalize(statement);
  CHECK(sqlite3_close(handle) == SQLITE_OK);
  return rows;
}

void StoreTest::SetUp() {
  database_ =
      std::string_view(GetParam()) == "sqlite" ? make_sqlite_database() : make_postgres_database();
  if (database_ == nullptr) GTEST_SKIP() << "PostgreSQL is not installed";
}

store::StoreOptions StoreTest::options(int64_t writer_id, TestCore* core) {
  if (core == nullptr) core = &core_;
  store::StoreOptions options;
  options.url = database_->url();
  options.writer_id = writer_id;
  options.services = &services_;
  options.loop = core->loop();
  options.mailbox = core->mailbox();
  options.clock = &base::system_clock();
  return options;
}

TestStore& StoreTest::open_store(int64_t writer_id) {
  TestStore& store = stores_.emplace_back(&core_, options(writer_id));
  store->open();
  EXPECT_TRUE(core_.run_until([&] { return store->status().state == StoreState::up; }))
      << store->status().error;
  return store;
}

}  // namespace postback::test
