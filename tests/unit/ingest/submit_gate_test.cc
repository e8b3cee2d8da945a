#include "ingest/submit_gate.h"

#include <gtest/gtest.h>

#include "ingest/limits.h"

namespace postback::ingest {
namespace {

struct Waiter final : SlotWaiter {
  void slot_granted() override { ++granted; }
  int granted = 0;
};

TEST(SubmitGate, ServersAreToldApartByHostAndPortAlone) {
  SubmitGate gate;
  const SubmitGate::Server* server = &gate.server_of("postgresql://a:x@one:5432/first");
  EXPECT_EQ(&gate.server_of("postgresql://b@one:5432/second"), server);
  EXPECT_NE(&gate.server_of("postgresql://a:x@one:5433/first"), server);
  EXPECT_NE(&gate.server_of("postgresql://a:x@two:5432/first"), server);
}

TEST(SubmitGate, SqliteFilesCountAsOneServer) {
  SubmitGate gate;
  const SubmitGate::Server* files = &gate.server_of("sqlite:data/a.db");
  EXPECT_EQ(&gate.server_of("sqlite:/elsewhere/b.db"), files);
  EXPECT_EQ(&gate.server_of("sqlite:odd://c.db"), files);
  EXPECT_NE(&gate.server_of("postgresql://one/first"), files);
  EXPECT_NE(&gate.server_of("postgresql:///first?host=/run/postgresql"), files);
}

TEST(SubmitGate, WhatWentPastTheBoundIsPaidBackBeforeASlotGoesOn) {
  SubmitGate gate;
  SubmitGate::Server& server = gate.server_of("sqlite:a.db");
  Waiter waiter;
  for (size_t i = 0; i < kServerBatchesMax; ++i) EXPECT_TRUE(server.enter(&waiter));
  EXPECT_FALSE(server.enter(&waiter));
  server.enter_past_bound();
  server.leave();
  EXPECT_EQ(waiter.granted, 0);
  server.leave();
  EXPECT_EQ(waiter.granted, 1);
}

TEST(SubmitGate, ASlotGoesToWhoeverWaitsLongest) {
  SubmitGate gate;
  SubmitGate::Server& server = gate.server_of("sqlite:a.db");
  Waiter first;
  Waiter second;
  Waiter third;
  for (size_t i = 0; i < kServerBatchesMax; ++i) EXPECT_TRUE(server.enter(&first));
  EXPECT_FALSE(server.enter(&first));
  EXPECT_FALSE(server.enter(&second));
  EXPECT_FALSE(server.enter(&third));
  server.leave();
  EXPECT_EQ(first.granted, 1);
  server.forget(&second);
  server.leave();
  EXPECT_EQ(second.granted, 0);
  EXPECT_EQ(third.granted, 1);
  for (size_t i = 0; i < kServerBatchesMax; ++i) server.leave();
  EXPECT_TRUE(server.enter(&second));
}

}  // namespace
}  // namespace postback::ingest
