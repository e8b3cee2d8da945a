#include "server/table_use.h"

#include <gtest/gtest.h>

namespace postback::server {
namespace {

std::shared_ptr<const partner::PartnerTable> make_table(uint64_t version) {
  return std::make_shared<partner::PartnerTable>(
      std::vector<std::shared_ptr<const partner::PartnerEntry>>{}, version);
}

TEST(TableUses, AReplacedTableIsKeptUntilItsLastUseIsReleased) {
  TableUses uses;
  EXPECT_EQ(uses.current(), nullptr);
  auto first = make_table(1);
  const std::weak_ptr<const partner::PartnerTable> watched = first;
  uses.replace(std::move(first));
  TableUses::Use* one = uses.acquire();
  TableUses::Use* two = uses.acquire();
  uses.replace(make_table(2));
  EXPECT_EQ(uses.current()->version(), 2u);
  uses.release(one);
  EXPECT_FALSE(watched.expired());
  uses.release(two);
  EXPECT_TRUE(watched.expired());
}

TEST(TableUses, AnUnusedTableIsForgottenWhenReplaced) {
  TableUses uses;
  auto first = make_table(1);
  const std::weak_ptr<const partner::PartnerTable> watched = first;
  uses.replace(std::move(first));
  uses.replace(make_table(2));
  EXPECT_TRUE(watched.expired());
}

}  // namespace
}  // namespace postback::server
