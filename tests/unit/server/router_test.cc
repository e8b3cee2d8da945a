#include "server/router.h"

#include <gtest/gtest.h>

namespace postback::server {
namespace {

class RouterTest : public ::testing::Test {
 protected:
  RouterTest() {
    add(1, "/involve/event", true);
    add(2, "/a", true);
    add(3, "/a/b/c", true);
    add(4, "/off", false);
    table_ = std::make_unique<partner::PartnerTable>(std::move(entries_), 1);
  }
  void add(int32_t id, const std::string& path, bool is_active) {
    auto entry = std::make_shared<partner::PartnerEntry>();
    entry->partner.id = id;
    entry->partner.endpoint_path = path;
    entry->partner.is_active = is_active;
    entries_.push_back(entry);
  }
  Route of(std::string_view path) const { return route(table_.get(), path); }

  std::vector<std::shared_ptr<const partner::PartnerEntry>> entries_;
  std::unique_ptr<partner::PartnerTable> table_;
};

TEST_F(RouterTest, FindsPartnersByPathsWithSlashes) {
  ASSERT_EQ(of("/partner/involve/event").kind, RouteKind::postback);
  EXPECT_EQ(of("/partner/involve/event").partner->partner.id, 1);
  EXPECT_EQ(of("/partner/a").partner->partner.id, 2);
  EXPECT_EQ(of("/partner/a/b/c").partner->partner.id, 3);
  EXPECT_EQ(of("/partner/a/b").kind, RouteKind::unknown_partner);
}

TEST_F(RouterTest, StatsAndConversionsAreNeverHiddenByAPartner) {
  EXPECT_EQ(of("/partner/involve/event/stats").kind, RouteKind::stats);
  EXPECT_EQ(of("/partner/a/b/c/conversions").kind, RouteKind::conversions);
  EXPECT_EQ(of("/partner/a/b/c/conversions").partner->partner.id, 3);
  EXPECT_EQ(of("/partner/nobody/stats").kind, RouteKind::unknown_partner);
  EXPECT_EQ(of("/partner/stats").kind, RouteKind::unknown_partner);
}

TEST_F(RouterTest, AnInactivePartnerIsUnknown) {
  EXPECT_EQ(of("/partner/off").kind, RouteKind::unknown_partner);
  EXPECT_EQ(of("/partner/off/stats").kind, RouteKind::unknown_partner);
}

TEST_F(RouterTest, PathsAreComparedByteForByte) {
  for (const char* path : {"//partner/a", "/partner//a", "/../partner/a", "/partner/%61",
                           "/partner/a/", "/PARTNER/a", "/partner/a/../a", "/partner", ""}) {
    const RouteKind kind = of(path).kind;
    EXPECT_TRUE(kind == RouteKind::not_found || kind == RouteKind::unknown_partner) << path;
  }
}

TEST_F(RouterTest, FindsTheServersOwnPages) {
  EXPECT_EQ(of("/health").kind, RouteKind::health);
  EXPECT_EQ(of("/info").kind, RouteKind::info);
  EXPECT_EQ(of("/metrics").kind, RouteKind::metrics);
  EXPECT_EQ(of("/").kind, RouteKind::not_found);
}

TEST_F(RouterTest, WithoutATableEveryPartnerIsUnknown) {
  EXPECT_EQ(route(nullptr, "/partner/a").kind, RouteKind::unknown_partner);
  EXPECT_EQ(route(nullptr, "/health").kind, RouteKind::health);
}

TEST_F(RouterTest, RemembersRoutesUntilTheyAreForgotten) {
  RememberedRoutes routes;
  const auto expect_same = [&](const partner::PartnerTable* table) {
    for (int again = 0; again < 2; ++again) {
      for (const char* path :
           {"/partner/involve/event", "/partner/a", "/partner/a/b/c", "/partner/off", "/partner/b",
            "/partner/a/stats", "/partner/a/conversions", "/partner", "", "/", "/health"}) {
        const Route found = routes.find(table, path);
        const Route expected = route(table, path);
        EXPECT_EQ(found.kind, expected.kind) << path;
        EXPECT_EQ(found.partner, expected.partner) << path;
      }
    }
  };
  expect_same(table_.get());
  routes.forget();
  add(1, "/a", false);
  add(2, "/b", true);
  const partner::PartnerTable changed(std::move(entries_), 2);
  expect_same(&changed);
  routes.forget();
  expect_same(nullptr);
}

}  // namespace
}  // namespace postback::server
