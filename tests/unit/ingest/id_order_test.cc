#include "ingest/id_order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <string>

namespace postback::ingest {
namespace {

TEST(IdOrder, IsTheOrderOfTheBytes) {
  const auto seed = std::random_device()();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  IdOrder order;
  for (int round = 0; round < 50; ++round) {
    std::vector<std::unique_ptr<Postback>> owned;
    std::vector<Postback*> postbacks;
    std::vector<std::string> expected;
    for (int i = 0; i < 100; ++i) {
      // Many with the same beginning, shorter and longer than a prefix, and bytes above 0x7F.
      std::string id(random() % 14, 'x');
      for (char& c : id) c = std::string("ab\x7f\x80\xff")[random() % 5];
      owned.push_back(std::make_unique<Postback>());
      owned.back()->conversion.set(Field::conversion_id, id);
      postbacks.push_back(owned.back().get());
      expected.push_back(id);
    }
    order.sort(&postbacks);
    std::sort(expected.begin(), expected.end());
    for (size_t i = 0; i < expected.size(); ++i) {
      EXPECT_EQ(postbacks[i]->conversion.text(Field::conversion_id), expected[i]);
    }
  }
}

TEST(IdOrder, SortsNothing) {
  std::vector<Postback*> none;
  IdOrder().sort(&none);
  EXPECT_TRUE(none.empty());
}

}  // namespace
}  // namespace postback::ingest
