#include "base/uuid.h"

#include <gtest/gtest.h>

namespace postback::base {
namespace {

TEST(Uuid, IsReadBackAsItWasWritten) {
  UuidBytes bytes{};
  ASSERT_TRUE(parse_uuid("f81d4fae-7dec-41d0-a765-00a0c91e6bf6", &bytes));
  EXPECT_EQ(bytes[0], 0xf8);
  EXPECT_EQ(bytes[15], 0xf6);
  EXPECT_EQ(uuid_text(bytes), "f81d4fae-7dec-41d0-a765-00a0c91e6bf6");
  ASSERT_TRUE(parse_uuid("F81D4FAE-7DEC-41D0-A765-00A0C91E6BF6", &bytes));
  EXPECT_EQ(uuid_text(bytes), "f81d4fae-7dec-41d0-a765-00a0c91e6bf6");
}

TEST(Uuid, WhatHasAnotherFormIsRefused) {
  UuidBytes bytes{1};
  for (const char* text :
       {"", "f81d4fae", "f81d4fae-7dec-41d0-a765-00a0c91e6bf",
        "f81d4fae-7dec-41d0-a765-00a0c91e6bf66", "f81d4fae7-dec-41d0-a765-00a0c91e6bf6",
        "g81d4fae-7dec-41d0-a765-00a0c91e6bf6"}) {
    EXPECT_FALSE(parse_uuid(text, &bytes)) << text;
  }
  EXPECT_EQ(bytes, UuidBytes{1});
}

TEST(Uuid, TwoRandomOnesDifferAndSayTheirVersion) {
  const std::string one = random_uuid();
  EXPECT_NE(one, random_uuid());
  UuidBytes bytes{};
  ASSERT_TRUE(parse_uuid(one, &bytes)) << one;
  EXPECT_EQ(bytes[6] >> 4, 4);
  EXPECT_EQ(bytes[8] >> 6, 2);
}

}  // namespace
}  // namespace postback::base
