// How large batches are, by the time that they take.
#include "ingest/batch_size.h"

#include <gtest/gtest.h>

namespace postback::ingest {
namespace {

constexpr uint64_t kMs = 1'000'000;

// A database that takes `fixed_ns` for a commit and `row_ns` for each row; batches are full.
struct Database {
  void commit(size_t rows) {
    const uint64_t begun_ns = now_ns;
    took_ns = fixed_ns + rows * row_ns;
    now_ns += took_ns;
    size.committed(rows, begun_ns, now_ns);
  }
  BatchSize size;
  uint64_t fixed_ns = kMs;
  uint64_t row_ns = 20'000;
  uint64_t now_ns = 1'000 * kMs;
  uint64_t took_ns = 0;
};

TEST(BatchSize, IsTheLargestForAQuickDatabase) {
  Database database;
  for (int i = 0; i < 20; ++i) database.commit(database.size.rows_max());
  EXPECT_EQ(database.size.rows_max(), kBatchRowsMax);
}

TEST(BatchSize, FollowsTheTimeThatARowTakesAndComesBack) {
  Database database;
  database.row_ns = 10 * kMs;
  database.commit(1000);
  database.commit(database.size.rows_max());
  EXPECT_LE(database.took_ns, kBatchNsMax);
  EXPECT_GE(database.size.rows_max(), 6u);
  for (int i = 0; i < 20; ++i) database.commit(database.size.rows_max());
  EXPECT_LE(database.size.rows_max() * 10, 2 * kBatchNsMax / kMs);
  database.row_ns = 20'000;
  for (int i = 0; i < 20; ++i) database.commit(database.size.rows_max());
  EXPECT_EQ(database.size.rows_max(), kBatchRowsMax);
}

TEST(BatchSize, StaysLargeWhereTheCommitItselfIsSlow) {
  Database database;
  database.fixed_ns = 850 * kMs;
  size_t rows = 0;
  for (int i = 0; i < 40; ++i) {
    rows += database.size.rows_max();
    database.commit(database.size.rows_max());
  }
  EXPECT_GT(rows, 35u * kBatchRowsMax);
}

TEST(BatchSize, AFailureLeadsDownToOneRowInThreeSteps) {
  BatchSize size;
  size.failed(1000);
  EXPECT_EQ(size.rows_max(), 31u);
  size.failed(31);
  EXPECT_EQ(size.rows_max(), 1u);
  size.failed(1);
  EXPECT_EQ(size.rows_max(), 1u);
}

TEST(BatchSize, BatchesThatAreAnsweredTogetherCountOnce) {
  BatchSize size;
  size.committed(1000, 100 * kMs, 1300 * kMs);
  const size_t rows = size.rows_max();
  EXPECT_LT(rows, 500u);
  for (int i = 0; i < 3; ++i) size.committed(1000, 100 * kMs, 1300 * kMs);
  EXPECT_EQ(size.rows_max(), rows);
}

TEST(BatchSize, ABatchIsNotChargedWithTheOneBeforeIt) {
  BatchSize size;
  size.committed(1, 0, 5000 * kMs);  // Nothing to cut.
  size.committed(1000, 100 * kMs, 5020 * kMs);
  EXPECT_EQ(size.rows_max(), kBatchRowsMax);
}

}  // namespace
}  // namespace postback::ingest
