// What the tests of the stores share: a core in small (loop, mailbox, recorders), databases of both
// kinds to run against, and makers of conversions and batches.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "io/mailbox.h"
#include "postback/loop.h"
#include "postback/store.h"
#include "store/store_factory.h"

namespace postback::test {

// 2025-01-15T10:20:30Z, and a minute.
constexpr int64_t kSomeTimeUs = 1'736'936'430'000'000;
constexpr int64_t kMinuteUs = 60'000'000;

// A core: turns its loop, drains its mailbox and ticks its stores until a condition holds.
class TestCore {
 public:
  TestCore();
  Loop* loop() { return loop_.get(); }
  io::Mailbox* mailbox() { return &mailbox_; }
  void add(Store* store) { stores_.push_back(store); }
  void remove(Store* store) { std::erase(stores_, store); }
  // False when the condition does not hold within the time.
  [[nodiscard]] bool run_until(const std::function<bool()>& condition,
                               std::chrono::seconds wait_max = std::chrono::seconds(30));
  // For counter-checks ("nothing more comes"): that many turns.
  void turn(std::chrono::milliseconds wait_max);

 private:
  std::unique_ptr<Loop> loop_;
  io::Mailbox mailbox_;
  std::vector<Store*> stores_;
  uint64_t ticked_ns_ = 0;
};

// A batch that owns its conversions.
class TestBatch : public Batch {
 public:
  TestBatch();
  // A conversion with the given conversion_id, a new row id and received_at kSomeTimeUs.
  Conversion& add(std::string_view conversion_id, int32_t partner = 1);
  Conversion& add_quarantined(Reason reason, int32_t partner = 1);
  int64_t count(RowResult result) const;

 private:
  std::deque<Conversion> owned_;
};

Decimal decimal(std::string_view text);
int64_t next_id();  // Any thread.

// One store on a core and what it told its client.
class TestStore final : public StoreClient {
 public:
  TestStore(TestCore* core, const store::StoreOptions& options);
  ~TestStore();  // Closes it if the test has not.
  Store& operator*() { return *store_; }
  Store* operator->() { return store_.get(); }

  // Submits as soon as the store takes it.
  void submit(Batch& batch);
  // Submits and waits for batch_done.
  BatchResult commit(Batch& batch);
  StoreRead stats(int64_t since_us = 0, int32_t partner = 1);
  StoreRead conversions(int32_t limit, int64_t before_id = INT64_MAX, int32_t partner = 1);
  bool finished(const Batch& batch) const;
  void start_close();
  void close();  // Waits for store_closed.

  std::vector<Batch*> batches_done;
  std::vector<StoreRead*> reads_done;
  int closed_count = 0;

 private:
  void batch_done(Batch& batch) override { batches_done.push_back(&batch); }
  void read_done(StoreRead& read) override { reads_done.push_back(&read); }
  void store_changed() override {}
  void store_closed() override { ++closed_count; }
  StoreRead wait_for(StoreRead read);

  TestCore* core_;
  bool closing_ = false;
  std::unique_ptr<Store> store_;
};

// A database of one kind, empty and not yet created when the test begins.
class TestDatabase {
 public:
  virtual ~TestDatabase() = default;
  virtual std::string url() const = 0;
  // Rows of the last statement, by a connection of its own; NULL is "NULL".
  using Rows = std::vector<std::vector<std::string>>;
  virtual Rows query(const std::string& sql) const = 0;
  // SQL as an operator would run it beside the program. No store may have the database open.
  virtual void run(const std::string& sql) const = 0;
  // SQL that shows a column of times as "2025-01-15T10:20:30.000000Z", of bytes as hexadecimal.
  virtual std::string time_sql(const std::string& column) const = 0;
  virtual std::string hex_sql(const std::string& column) const = 0;
  std::string value(const std::string& sql) const;
};

// A temporary folder, removed at the end.
class TestFolder {
 public:
  TestFolder();
  ~TestFolder();
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::unique_ptr<TestDatabase> make_sqlite_database();
// Null when PostgreSQL is not installed. Its server is made once per program.
std::unique_ptr<TestDatabase> make_postgres_database();
TestDatabase::Rows sqlite_query(const std::string& path, const std::string& sql);

// Core, services and database of one test; the parameter is the kind of store.
class StoreTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override;
  store::StoreOptions options(int64_t writer_id = 1, TestCore* core = nullptr);
  TestStore& open_store(int64_t writer_id = 1);  // Open and up.

  std::unique_ptr<TestDatabase> database_;
  store::Services services_;
  TestCore core_;
  std::deque<TestStore> stores_;
};

}  // namespace postback::test
