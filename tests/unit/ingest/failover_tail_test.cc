#include "ingest/failover_tail.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace postback::ingest {
namespace {

constexpr uint64_t kSecondNs = 1'000'000'000;

class FailoverTailTest : public testing::Test {
 protected:
  void add(const std::string& id, uint64_t now_ns, size_t bytes = 1) {
    Conversion row;
    row.clear();
    row.id = ++row_id_;
    row.partner_id = 1;
    row.received_at_us = 1'795'000'000'000'000;
    row.set(Field::conversion_id, id);
    row.set(Field::raw_data, std::string(bytes, 'x'));
    tail_.add(row, now_ns);
  }
  std::vector<std::string> take() {
    std::vector<std::string> ids;
    const size_t count = tail_.take([&](const Conversion& row) {
      EXPECT_GT(row.id, 0);
      ids.emplace_back(row.text(Field::conversion_id));
    });
    EXPECT_EQ(count, ids.size());
    return ids;
  }

  FailoverTail tail_{2 * kSecondNs};
  int64_t row_id_ = 0;
};

TEST_F(FailoverTailTest, KeepsAtLeastTheRowsOfItsTimeInTheirOrderAndGivesThemOnce) {
  for (int tenth = 0; tenth < 100; ++tenth) {
    add("id" + std::to_string(tenth), static_cast<uint64_t>(tenth) * kSecondNs / 10);
  }
  const std::vector<std::string> kept = take();
  ASSERT_GE(kept.size(), 20u);
  ASSERT_LE(kept.size(), 24u);
  for (size_t i = 0; i < kept.size(); ++i) {
    EXPECT_EQ(kept[i], "id" + std::to_string(100 - kept.size() + i));
  }
  EXPECT_TRUE(take().empty());
  EXPECT_EQ(tail_.byte_count(), 0u);
}

TEST_F(FailoverTailTest, IsBoundedInBytesWhateverTheRate) {
  constexpr size_t kRowBytes = 60'000;
  for (size_t i = 0; i < 2 * FailoverTail::kBytesMax / kRowBytes; ++i) {
    add("id", i * 1'000'000, kRowBytes);
    ASSERT_LE(tail_.byte_count(), FailoverTail::kBytesMax);
  }
  EXPECT_GT(take().size(), FailoverTail::kBytesMax / kRowBytes / 2);
}

}  // namespace
}  // namespace postback::ingest
