#include "journal/orders.h"

#include <gmock/gmock.h>

#include "journal_fixture.h"

namespace postback::journal {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* kOne = "f81d4fae-7dec-41d0-a765-00a0c91e6bf6";
constexpr const char* kTwo = "00000000-0000-4000-8000-00000000000a";

std::vector<Order> some_orders() {
  return {
      {Order::Kind::assign, Owner(kOne, 3, "alpha"), Owner(kTwo, 4, std::string(50, 'b')), 17, 5},
      {Order::Kind::discard, Owner(-7), Owner(), 9, 1}};
}

TEST(Orders, ComeBackAsTheyWere) {
  std::vector<Order> out;
  ASSERT_TRUE(decode_orders(encode_orders(some_orders()), &out));
  EXPECT_EQ(out, some_orders());
}

TEST(Orders, EveryFlippedByteAndEveryCutIsNoticed) {
  const std::string bytes = encode_orders(some_orders());
  std::vector<Order> out;
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string bad = bytes;
    bad[i] = static_cast<char>(bad[i] ^ 0x10);
    EXPECT_FALSE(decode_orders(bad, &out)) << i;
    EXPECT_FALSE(decode_orders(std::string_view(bytes).substr(0, i), &out)) << i;
  }
  EXPECT_THAT(out, IsEmpty());
}

// Whoever gives orders may die at any step, and the disk may fail there.
TEST(Orders, AreThereOrNotWhateverHappensWhileTheyAreWritten) {
  for (const auto fault : {FakeDisk::Fault::error, FakeDisk::Fault::short_write}) {
    for (uint64_t at = 1; at <= 5; ++at) {
      FakeDisk disk;
      ASSERT_TRUE(store_orders(&disk, kFolder, {some_orders()[0]}).ok());
      disk.fail_at(at, fault, false);
      static_cast<void>(store_orders(&disk, kFolder, some_orders()));
      auto loaded = load_orders(&disk, kFolder);
      ASSERT_TRUE(loaded.ok()) << loaded.status().message();
      EXPECT_EQ(loaded.value().front(), some_orders()[0]);
    }
  }
}

TEST(Orders, DamagedOnesMoveNothing) {
  FakeDisk disk;
  EXPECT_THAT(load_orders(&disk, kFolder).value(), IsEmpty());
  std::string bytes = encode_orders(some_orders());
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  disk.set_content(std::string(kFolder) + "/" + kOrdersName, bytes);
  EXPECT_THAT(load_orders(&disk, kFolder).status().message(), HasSubstr("damaged"));
}

TEST(Orders, ADiscardIsDrainedUpToItsEnd) {
  Checkpoint checkpoint;
  ASSERT_TRUE(apply_discards(some_orders(), &checkpoint));
  EXPECT_TRUE(checkpoint.drained(-7, {8, 99}));
  EXPECT_FALSE(checkpoint.drained(-7, {9, 0}));
  EXPECT_FALSE(checkpoint.drained(Owner(kOne, 3, "alpha"), {1, 0})) << "that one is assigned";
  EXPECT_FALSE(apply_discards(some_orders(), &checkpoint)) << "it is applied";
}

TEST(Orders, AnAssignmentHoldsUntilItsRecordsAreDrained) {
  const Owner alpha(kOne, 3, "alpha");
  Checkpoint checkpoint;
  const std::vector<Order> orders = some_orders();
  EXPECT_EQ(assignment_of(orders, alpha, checkpoint), &orders[0]);
  EXPECT_EQ(assignment_of(orders, Owner(kTwo, 3, "alpha"), checkpoint), nullptr);
  checkpoint.partners[alpha] = {16, 5};
  EXPECT_EQ(assignment_of(orders, alpha, checkpoint), &orders[0]);
  checkpoint.partners[alpha] = {17, 0};
  EXPECT_EQ(assignment_of(orders, alpha, checkpoint), nullptr);
  EXPECT_THAT(open_orders(orders, 9), ElementsAre(orders[0]));
  EXPECT_THAT(open_orders(orders, 17), IsEmpty());
}

// A record tells whose it is, and so does the checkpoint.
TEST(Owner, IsReadBackFromRecordAndCheckpoint) {
  for (const Owner& owner : {Owner(1), Owner(kOne, 1, "alpha"), Owner(kOne, 1, ""),
                             Owner("", 1, std::string(50, 'x'))}) {
    std::string bytes;
    ASSERT_TRUE(append_record(make_conversion(5), owner, &bytes));
    RecordPrefix prefix;
    ASSERT_EQ(read_prefix(bytes, &prefix), RecordFault::none);
    EXPECT_EQ(prefix.owner, owner);
    Conversion out;
    ASSERT_EQ(decode_record(bytes, &out), RecordFault::none);
    EXPECT_EQ(bytes_of(out), bytes_of(make_conversion(5)));
    for (size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_NE(decode_record(std::string_view(bytes).substr(0, size), &out), RecordFault::none);
    }
    Checkpoint checkpoint;
    checkpoint.partners[owner] = {9, 2};
    Checkpoint again;
    ASSERT_TRUE(decode_checkpoint(encode_checkpoint(checkpoint), &again));
    EXPECT_EQ(again, checkpoint);
  }
}

TEST(Owner, PartnersOfTwoControlDatabasesAreDrainedByThemselves) {
  FakeDisk disk;
  FakeClock clock;
  auto writer = Writer::open(writer_options(&disk, &clock)).take();
  Client client(writer.get());
  ASSERT_EQ(client.append(1, 1, Owner(kOne, 1, "alpha")), AppendResult::durable);
  ASSERT_EQ(client.append(2, 1, Owner(kTwo, 1, "alpha")), AppendResult::durable);
  Checkpoint checkpoint;
  checkpoint.partners[Owner(kTwo, 1, "alpha")] = {3, 0};
  EXPECT_THAT(read_everything(&disk, &checkpoint).ids, ElementsAre(1));
  base::Result<Recovered> found = survey(&disk, kFolder);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found.value().undrained_by_owner.size(), 2u);
}

}  // namespace
}  // namespace postback::journal
