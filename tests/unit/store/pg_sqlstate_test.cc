#include "store/pg_sqlstate.h"

#include <gtest/gtest.h>

namespace postback::store {
namespace {

TEST(PgSqlstate, ValuesAtFaultRejectTheBatch) {
  for (const char* state : {"22001", "22003", "22008", "22021", "22P02", "22P05", "23502", "23505",
                            "23514", "54000", "P0001"}) {
    EXPECT_EQ(batch_result_of(state), BatchResult::rejected) << state;
  }
}

TEST(PgSqlstate, WrongTablesAreASchemaMatter) {
  for (const char* state : {"42P01", "42703", "42804", "42501", "3F000", "0A000", "44000"}) {
    EXPECT_EQ(batch_result_of(state), BatchResult::schema) << state;
  }
}

TEST(PgSqlstate, AServerInTroubleIsUnavailable) {
  for (const char* state :
       {"08000", "08006", "53100", "53200", "53300", "57P01", "57P02", "57P03", "57014", "40001",
        "40P01", "55P03", "25006", "58030", "XX000", "XX001", "28P01", "3D000", "26000"}) {
    EXPECT_EQ(batch_result_of(state), BatchResult::unavailable) << state;
  }
}

TEST(PgSqlstate, WhatIsNotKnownKeepsTheData) {
  for (const char* state : {"", "0", "99999", "ZZZZZ"}) {
    EXPECT_EQ(batch_result_of(state), BatchResult::unavailable) << state;
  }
}

TEST(PgSqlstate, OnlyRollbacksOfOurTransactionAreRepeatedAtOnce) {
  EXPECT_TRUE(is_worth_repeating("40001"));
  EXPECT_TRUE(is_worth_repeating("40P01"));
  EXPECT_FALSE(is_worth_repeating("40003"));
  EXPECT_FALSE(is_worth_repeating("57014"));
  EXPECT_FALSE(is_worth_repeating(""));
}

TEST(PgSqlstate, ADatabaseMadeByAnotherProcessIsFine) {
  EXPECT_TRUE(is_database_made_meanwhile("42P04"));
  EXPECT_TRUE(is_database_made_meanwhile("23505"));
  EXPECT_FALSE(is_database_made_meanwhile("42501"));
}

}  // namespace
}  // namespace postback::store
