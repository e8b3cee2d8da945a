#include "server/connection_room.h"

#include <gtest/gtest.h>

namespace postback::server {
namespace {

TEST(ConnectionRoom, AConnectionThatClosesMakesRoomForOne) {
  ConnectionRoom room;
  EXPECT_FALSE(room.full());
  EXPECT_EQ(room.set_bound(2), 2u);
  room.take();
  EXPECT_FALSE(room.full());
  room.take();
  EXPECT_TRUE(room.full());
  EXPECT_EQ(room.give_back(), 1u);
  EXPECT_FALSE(room.full());
}

TEST(ConnectionRoom, ALoweredBoundIsReachedAsConnectionsClose) {
  ConnectionRoom room;
  EXPECT_EQ(room.set_bound(3), 3u);
  for (int i = 0; i < 3; ++i) room.take();
  EXPECT_EQ(room.set_bound(1), 0u);
  EXPECT_EQ(room.give_back(), 0u);
  EXPECT_EQ(room.give_back(), 0u);
  EXPECT_TRUE(room.full());
  EXPECT_EQ(room.give_back(), 1u);
  EXPECT_EQ(room.set_bound(4), 3u) << "one was allowed already";
}

TEST(ClientsMax, PartnersAndTheProcessKeepTheirDescriptors) {
  const uint32_t few = clients_max(200, 2, 2);
  EXPECT_GT(few, 20u);
  EXPECT_LE(2 * few + 2 * 8 + 40, 200u);
  EXPECT_LT(clients_max(1024, 2, 20), clients_max(1024, 2, 2));
  EXPECT_GT(clients_max(200'000, 2, 100), 90'000u);
}

TEST(ClientsMax, ALimitThatIsTooSmallForThePartnersLeavesClientsAQuarter) {
  EXPECT_EQ(clients_max(1024, 2, 10'000), 128u);
  EXPECT_GE(clients_max(8, 16, 1), 2u);
}

}  // namespace
}  // namespace postback::server
