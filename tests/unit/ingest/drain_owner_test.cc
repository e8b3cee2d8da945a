// Whose records reach whom: the drain over journals whose records another control database made,
// or whose partner is another one now, is switched off or gone; and what a person orders about
// them.
#include <algorithm>

#include "drain_fixture.h"
#include "ingest/owner_routes.h"
#include "journal/orders.h"

namespace postback::ingest {
namespace {

constexpr const char* kOurs = "f81d4fae-7dec-41d0-a765-00a0c91e6bf6";
constexpr const char* kOther = "00000000-0000-4000-8000-00000000000a";

class DrainOwnerTest : public DrainFixture {
 protected:
  using Change = std::function<void(Partner*)>;
  // The partners of control database kOurs.
  void set_ours(const std::map<int32_t, int32_t>& lanes_by_id, const Change& change = {}) {
    set_partners(lanes_by_id, [&](Partner* partner) {
      partner->registry_id = kOurs;
      partner->owns_unmarked = false;
      if (change) change(partner);
    });
  }
  journal::Owner ours(int32_t id) const { return {kOurs, id, "p" + std::to_string(id)}; }
  journal::Owner others(int32_t id) const { return {kOther, id, "p" + std::to_string(id)}; }
  void append_marked(const journal::Owner& as, int count) {
    mark = as;
    append(as.partner_id, count);
    mark.reset();
  }
  std::map<std::string, HoldReason> held() const {
    std::map<std::string, HoldReason> reasons;
    for (const Hold& hold : drain_->holds()) {
      if (hold.backlog->waiting() > 0) reasons[journal::owner_text(hold.owner)] = hold.reason;
    }
    return reasons;
  }
  bool is_held(const journal::Owner& owner, HoldReason reason) {
    const auto now = held();
    const auto found = now.find(journal::owner_text(owner));
    return found != now.end() && found->second == reason;
  }
  // As postbackctl does it.
  void order(journal::Order::Kind kind, const journal::Owner& from, const journal::Owner& to,
             uint64_t records) {
    auto orders = journal::load_orders(&journal::real_disk(), journal_).take();
    orders.push_back({kind, from, to, writer_->status().durable_lsn + 1, records});
    ASSERT_TRUE(journal::store_orders(&journal::real_disk(), journal_, orders).ok());
    clock_.added_ns += 2 * kSecond;  // The drain looks once a second.
  }
  uint64_t waiting_of(const journal::Owner& owner) const { return backlog_->of(owner).waiting(); }
};

TEST_F(DrainOwnerTest, RecordsOfAnotherControlDatabaseReachNobody) {
  set_ours({{3, 1}, {4, 1}});
  append_marked(others(3), 30);
  append_marked(ours(4), 10);
  start();
  ASSERT_TRUE(comes_true([this] { return database_[4].size() == 10; }));
  ASSERT_TRUE(comes_true([this] { return is_held(others(3), HoldReason::other_registry); }));
  EXPECT_TRUE(database_[3].empty()) << "the partner that has the id now is another one";
  EXPECT_EQ(waiting_of(others(3)), 30u);
  close();
  open();  // And after a restart.
  set_ours({{3, 1}, {4, 1}});
  start();
  ASSERT_TRUE(comes_true([this] { return is_held(others(3), HoldReason::other_registry); }));
  append_marked(ours(3), 5);
  ASSERT_TRUE(comes_true([this] { return database_[3].size() == 5; }));
  EXPECT_EQ(waiting_of(others(3)), 30u);
}

TEST_F(DrainOwnerTest, AnIdThatIsAnotherPartnersNowDoesNotGetTheRecords) {
  // A control database restored from before the partner was added has the same id.
  const journal::Owner alpha(kOurs, 3, "alpha");
  set_ours({{3, 1}});
  append_marked(alpha, 20);
  start();
  ASSERT_TRUE(comes_true([&] { return is_held(alpha, HoldReason::no_partner); }));
  EXPECT_TRUE(database_[3].empty());
}

TEST_F(DrainOwnerTest, APartnerKeepsItsRecordsUnderANewCode) {
  set_ours({{3, 1}}, [](Partner* partner) { partner->former_codes = {"alpha"}; });
  append_marked({kOurs, 3, "alpha"}, 20);
  start();
  ASSERT_TRUE(comes_true([this] { return database_[3].size() == 20; }));
  ASSERT_TRUE(comes_true([this] { return backlog_->waiting() == 0; }));
  EXPECT_EQ(backlog_->of(ours(3)).drained().stored, 20u);
}

TEST_F(DrainOwnerTest, UnmarkedRecordsAreTheControlDatabasesThatIsOlderThanMarks) {
  set_ours({{3, 1}});
  append_marked(3, 20);
  start();
  ASSERT_TRUE(comes_true([this] { return is_held(3, HoldReason::other_registry); }))
      << "a control database made since cannot have written them";
  EXPECT_TRUE(database_[3].empty());
  set_ours({{3, 1}}, [](Partner* partner) { partner->owns_unmarked = true; });
  ASSERT_TRUE(comes_true([this] { return database_[3].size() == 20; }));
  EXPECT_TRUE(comes_true([this] { return backlog_->waiting() == 0; }));
}

TEST_F(DrainOwnerTest, APartnerThatIsSwitchedOffHoldsItsRecordsUntilItIsOnAgain) {
  set_ours({{3, 1}}, [](Partner* partner) { partner->is_active = false; });
  append_marked(ours(3), 20);
  start();
  ASSERT_TRUE(comes_true([this] { return is_held(ours(3), HoldReason::inactive); }));
  set_ours({{3, 1}});
  ASSERT_TRUE(comes_true([this] { return database_[3].size() == 20; }));
  EXPECT_TRUE(held().empty());
}

TEST_F(DrainOwnerTest, RecordsGoToThePartnerThatTheyAreAssignedTo) {
  set_ours({{3, 1}, {4, 1}});
  append_marked(others(3), 30);
  append_marked(ours(3), 10);
  append_marked(others(3), 30);
  start();
  ASSERT_TRUE(comes_true([this] { return is_held(others(3), HoldReason::other_registry); }));
  order(journal::Order::Kind::assign, others(3), ours(4), 60);
  ASSERT_TRUE(comes_true([this] { return database_[4].size() == 60; }));
  ASSERT_TRUE(comes_true([this] { return backlog_->waiting() == 0; }));
  EXPECT_EQ(database_[3].size(), 10u);
  EXPECT_TRUE(held().empty());
  EXPECT_EQ(backlog_->of(ours(4)).recovered(), 60u) << "nobody sent them to this partner";
}

TEST_F(DrainOwnerTest, AnAssignmentIsAboutTheRecordsThatWereThere) {
  set_ours({{4, 1}});
  append_marked(ours(3), 30);
  start();
  ASSERT_TRUE(comes_true([this] { return is_held(ours(3), HoldReason::no_partner); }));
  order(journal::Order::Kind::assign, ours(3), ours(4), 30);
  ASSERT_TRUE(comes_true([this] { return database_[4].size() == 30; }));
  // The partner is added again, with its id.
  set_ours({{3, 1}, {4, 1}});
  append_marked(ours(3), 7);
  ASSERT_TRUE(comes_true([this] { return database_[3].size() == 7; }));
  EXPECT_EQ(database_[4].size(), 30u);
  EXPECT_TRUE(comes_true([this] { return backlog_->waiting() == 0; }));
}

TEST_F(DrainOwnerTest, AnAssignmentThatWasGivenBeforeTheStartIsFollowed) {
  append_marked(others(3), 30);
  order(journal::Order::Kind::assign, others(3), ours(4), 30);
  close();
  open();
  modes_[4] = Mode::fail;  // And a start in the middle of it.
  set_ours({{4, 1}});
  start();
  ASSERT_TRUE(comes_true([this] { return !database_[4].empty(); }));
  close();
  open();
  modes_[4] = Mode::store;
  set_ours({{4, 1}});
  start();
  ASSERT_TRUE(comes_true([this] { return backlog_->waiting() == 0; }));
  EXPECT_EQ(database_[4].size(), 30u);
}

TEST_F(DrainOwnerTest, WhatIsDiscardedNoLongerHoldsItsSegments) {
  set_ours({{4, 1}});
  append_marked(ours(3), 30);
  for (int i = 0; i < 5; ++i) append_marked(ours(4), 600);
  start();
  ASSERT_TRUE(comes_true([this] { return database_[4].size() == 3000; }));
  ASSERT_TRUE(comes_true([this] { return is_held(ours(3), HoldReason::no_partner); }));
  const auto first_segment = [this] {
    return journal::list_segments(&journal::real_disk(), journal_).value().front();
  };
  EXPECT_EQ(first_segment(), 1u);
  order(journal::Order::Kind::discard, ours(3), {}, 30);
  ASSERT_TRUE(comes_true([&] { return first_segment() > 1; }));
  EXPECT_EQ(backlog_->waiting(), 0u);
  EXPECT_EQ(backlog_->of(ours(3)).discarded(), 30u);
  EXPECT_TRUE(held().empty());
}

TEST_F(DrainOwnerTest, OrdersThatCannotBeReadAreToldAndNothingIsMoved) {
  set_ours({{4, 1}});
  append_marked(others(3), 30);
  order(journal::Order::Kind::assign, others(3), ours(4), 30);
  std::filesystem::resize_file(journal_ + "/orders", 20);
  close();
  open();
  set_ours({{4, 1}});
  start();
  ASSERT_TRUE(comes_true([this] { return is_held(others(3), HoldReason::other_registry); }));
  EXPECT_FALSE(drain_->orders_error().empty());
  EXPECT_TRUE(database_[4].empty());
}

}  // namespace
}  // namespace postback::ingest
