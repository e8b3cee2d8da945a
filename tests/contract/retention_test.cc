// The thread that purges every partner by itself: whom it purges, and by whose word.
#include "retention/retention.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "ingest/row_id.h"
#include "purge_harness.h"

namespace postback::test {
namespace {

class Retentions : public PurgeTest {
 protected:
  std::shared_ptr<const partner::PartnerTable> table(partner::TableSource source) {
    auto entry = std::make_shared<partner::PartnerEntry>();
    entry->partner = partner_;
    entry->partner.endpoint_path = "/p";
    return std::make_shared<partner::PartnerTable>(
        std::vector<std::shared_ptr<const partner::PartnerEntry>>{entry}, 1, source);
  }
  template <typename Condition>
  static bool comes_true(Condition condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return true;
  }
  std::string kept() { return database_->value("SELECT count(raw_data) FROM partner_conversions"); }
};

// What a cache says may be out of date: a retention that was made longer since would be lost.
TEST_P(Retentions, PurgeNothingByTheSettingsOfACacheUntilTheControlDatabaseIsRead) {
  TestStore& store = open_store();
  TestBatch batch;
  Conversion& old = batch.add("old");
  old.received_at_us = clock_.now_us - 31 * kDayUs;
  old.id = ingest::RowIds::first_of(old.received_at_us);
  old.set(Field::raw_data, "{}");
  ASSERT_EQ(store.commit(batch), BatchResult::committed) << batch.error;
  retention::Retention retention(&clock_, [this] {
    base::TimeView time;  // A clock that has agreed with all others for long.
    time.proven = true;
    time.wall_us = time.believed_us = time.id_time_us = clock_.now_us;
    return time;
  });
  retention.set_partners(table(partner::TableSource::cache));
  retention.start();
  ASSERT_TRUE(comes_true([&] { return retention.counters().rounds >= 1; }));
  EXPECT_EQ(retention.counters().looks, 0);
  EXPECT_EQ(kept(), "1");
  retention.set_partners(table(partner::TableSource::control_database));
  EXPECT_TRUE(comes_true([&] { return retention.counters().looks >= 1; }));
}

// Which database it is does not matter here.
INSTANTIATE_TEST_SUITE_P(Sqlite, Retentions, testing::Values("sqlite"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace postback::test
