// What the tests of the PostgreSQL store share: batches with the conversions they borrow, and a
// store with a loop of its own that records what it is told.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "io/loop_choice.h"
#include "io/mailbox.h"
#include "postback/store.h"
#include "postgres_server.h"
#include "store/known_databases.h"
#include "store/pg_store.h"
#include "store/resolver.h"

namespace postback::store {

constexpr int32_t kPartner = 7;
constexpr int64_t kNoonUs = 1'736'942'400'000'000;  // 2025-01-15T12:00:00Z

// A batch and the conversions it names.
struct TestBatch {
  Batch batch;
  std::vector<std::unique_ptr<Conversion>> owned;

  // A row worth 10.50, our share of it 1.25. `id` 0: a fresh one.
  Conversion& add(const std::string& conversion_id, int64_t id = 0);
  Conversion& add_quarantined(const std::string& message);
  void sort();
  RowResult result_of(const std::string& conversion_id) const;
};

std::unique_ptr<TestBatch> make_batch(const std::string& prefix, int row_count);

// One store, as a lane has it.
class StoreUser final : public StoreClient {
 public:
  explicit StoreUser(const std::string& url, const std::function<void(StoreOptions*)>& change = {});
  ~StoreUser();  // Closes the store and waits for it.

  Store& store() { return *store_; }
  // Turns the loop until `done`; false after `limit`.
  bool run_until(const std::function<bool()>& done,
                 std::chrono::milliseconds limit = std::chrono::seconds(20));
  void run_for(std::chrono::milliseconds time);
  void submit(TestBatch* batch) { store_->submit(batch->batch); }
  // Waits until it may, submits and waits for the result.
  BatchResult store_batch(TestBatch* batch);
  bool wait_done(const TestBatch& batch);
  // Repeats until it is committed, as a writer with a journal does; false after `limit`.
  bool store_at_last(TestBatch* batch, std::chrono::milliseconds limit = std::chrono::seconds(20));
  bool wait_state(StoreState state);
  StoreRead read(StoreRead::Kind kind, int64_t since_us = 0, int32_t limit = 10,
                 int64_t before_id = INT64_MAX);
  void close();
  void allow_anew();  // As postbackctl forget does.

  std::vector<Batch*> done;  // In the order in which they came back.

 private:
  void batch_done(Batch& batch) override { done.push_back(&batch); }
  void read_done(StoreRead& read) override { reads_done_.push_back(&read); }
  void store_changed() override {}
  void store_closed() override { closed_ = true; }
  void turn();

  std::unique_ptr<Loop> loop_;
  io::Mailbox mailbox_;
  Resolver resolver_;
  KnownDatabases known_;
  std::string place_;
  std::unique_ptr<Store> store_;
  std::vector<StoreRead*> reads_done_;
  bool closed_ = false;
};

}  // namespace postback::store
