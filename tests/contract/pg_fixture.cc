#include "pg_fixture.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>

#include "base/check.h"
#include "store/pg_url.h"
#include "base/time.h"

namespace postback::store {
namespace {

using std::chrono::milliseconds;

std::atomic<int64_t> next_id{1};
std::atomic<int64_t> next_writer{1};

std::unique_ptr<Loop> make_test_loop() {
  auto choice = io::make_loop(base::IoEngine::automatic);
  CHECK(choice.ok());
  return std::move(choice.value().loop);
}

Decimal amount(const char* text) {
  Decimal value;
  CHECK(Decimal::parse(text, &value));
  return value;
}

}  // namespace

Conversion& TestBatch::add(const std::string& conversion_id, int64_t id) {
  Conversion& row = *owned.emplace_back(std::make_unique<Conversion>());
  row.id = id != 0 ? id : next_id++;
  row.partner_id = kPartner;
  row.received_at_us = kNoonUs;
  row.usd_sale_amount = amount("10.50");
  row.usd_earning = amount("1.25");
  row.set(Field::conversion_id, conversion_id);
  row.set(Field::raw_data, "{\"conversion_id\":\"x\"}");
  row.set(Field::request_headers, "{}");
  row.set(Field::request_ip, "127.0.0.1");
  BatchRow entry;
  entry.conversion = &row;
  batch.conversions.push_back(entry);
  batch.partner_id = kPartner;
  return row;
}

Conversion& TestBatch::add_quarantined(const std::string& message) {
  Conversion& row = *owned.emplace_back(std::make_unique<Conversion>());
  row.id = next_id++;
  row.partner_id = kPartner;
  row.received_at_us = kNoonUs;
  row.reason = Reason::amount_invalid;
  row.set(Field::fault_field, "usd_sale_amount");
  row.set(Field::fault_message, message);
  row.set(Field::method, "POST");
  row.set(Field::target, "/partner/x?a=b");
  row.set(Field::body, std::string_view("\0\xFF", 2));
  batch.quarantined.push_back(&row);
  batch.partner_id = kPartner;
  return row;
}

void TestBatch::sort() {
  std::sort(batch.conversions.begin(), batch.conversions.end(), [](const auto& a, const auto& b) {
    return a.conversion->text(Field::conversion_id) < b.conversion->text(Field::conversion_id);
  });
}

RowResult TestBatch::result_of(const std::string& conversion_id) const {
  for (const BatchRow& row : batch.conversions) {
    if (row.conversion->text(Field::conversion_id) == conversion_id) return row.result;
  }
  ADD_FAILURE() << conversion_id << " is not in the batch";
  return RowResult::pending;
}

std::unique_ptr<TestBatch> make_batch(const std::string& prefix, int row_count) {
  auto made = std::make_unique<TestBatch>();
  for (int i = 0; i < row_count; ++i) made->add(prefix + std::to_string(i));
  made->sort();
  return made;
}

StoreUser::StoreUser(const std::string& url, const std::function<void(StoreOptions*)>& change)
    : loop_(make_test_loop()), mailbox_(loop_.get()) {
  StoreOptions options;
  options.url = url;
  options.writer_id = next_writer++;
  options.loop = loop_.get();
  options.mailbox = &mailbox_;
  options.clock = &base::system_clock();
  if (change) change(&options);
  place_ = parse_pg_url(url).value().place();
  auto made = make_pg_store(options, &resolver_, &known_, this);
  CHECK(made.ok());
  store_ = made.take();
}

StoreUser::~StoreUser() {
  if (!closed_) close();
}

void StoreUser::allow_anew() {
  known_.at(place_, "anybody", 1);
}

void StoreUser::close() {
  store_->close();
  EXPECT_TRUE(run_until([&] { return closed_; })) << "the store does not close";
}

void StoreUser::turn() {
  for (const Completion& completion : loop_->turn(milliseconds(5))) {
    completion.client->complete(completion);
  }
  mailbox_.drain();
  if (!closed_) store_->tick(loop_->now_ns());
}

bool StoreUser::run_until(const std::function<bool()>& condition, milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    turn();
  }
  return true;
}

void StoreUser::run_for(milliseconds time) {
  run_until([] { return false; }, time);
}

bool StoreUser::wait_done(const TestBatch& batch) {
  return run_until([&] { return batch.batch.result != BatchResult::pending; });
}

BatchResult StoreUser::store_batch(TestBatch* batch) {
  if (!run_until([&] { return store_->can_submit(); })) {
    ADD_FAILURE() << "no batch can be submitted: " << store_->status().error;
    return BatchResult::unavailable;
  }
  submit(batch);
  EXPECT_TRUE(wait_done(*batch)) << "the batch does not come back";
  return batch->batch.result;
}

bool StoreUser::store_at_last(TestBatch* batch, milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (store_batch(batch) != BatchResult::committed) {
    if (std::chrono::steady_clock::now() > deadline) return false;
  }
  return true;
}

bool StoreUser::wait_state(StoreState state) {
  return run_until([&] { return store_->status().state == state; });
}

StoreRead StoreUser::read(StoreRead::Kind kind, int64_t since_us, int32_t limit,
                          int64_t before_id) {
  StoreRead read;
  read.kind = kind;
  read.partner_id = kPartner;
  read.since_us = since_us;
  read.limit = limit;
  read.before_id = before_id;
  const size_t before = reads_done_.size();
  store_->read(read);
  EXPECT_TRUE(run_until([&] { return reads_done_.size() > before; }));
  return read;
}

}  // namespace postback::store
