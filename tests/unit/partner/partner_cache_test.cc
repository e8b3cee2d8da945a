// The partners kept in a file for a start without the control database.
#include "partner/partner_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>

#include "base/crc32c.h"
#include "partner/cache_text.h"
#include "partner/shipped_partners.h"
#include "partner/table_builder.h"

namespace postback::partner {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using Table = std::shared_ptr<const PartnerTable>;
namespace fs = std::filesystem;

constexpr const char* kControl = "postgresql://postback:***@db/control";
constexpr int64_t kNowUs = 1'763'000'000'123'456;

class FakeClock : public base::Clock {
 public:
  int64_t wall_us() const override { return wall_us_; }
  uint64_t monotonic_ns() const override { return monotonic_ns_; }
  void pass(int64_t seconds) {
    wall_us_ += seconds * 1'000'000;
    monotonic_ns_ += static_cast<uint64_t>(seconds) * 1'000'000'000;
  }

 private:
  int64_t wall_us_ = kNowUs;
  uint64_t monotonic_ns_ = 1'000'000'000;
};

class CacheFixture : public ::testing::Test {
 protected:
  CacheFixture() {
    char name[] = "/tmp/postback-cache-XXXXXX";
    CHECK(mkdtemp(name) != nullptr);
    folder_ = name;
    home_ = {"postgresql://postback:s3cret@db/control", folder_ / "data"};
    path_ = folder_ / "data" / "partners.cache";
  }
  ~CacheFixture() override { fs::remove_all(folder_); }

  // The shipped partners, with every kind of field away from its default.
  Partners rows() const {
    Partners rows;
    int32_t id = 0;
    for (Partner partner : shipped_partners()) {
      partner.id = ++id;
      partner.created_at_us = kNowUs + id;
      partner.updated_at_us = -1;
      partner.effective_database_url = effective_database_url(home_, partner).take();
      rows.partners.push_back(std::move(partner));
    }
    Partner& rector = rows.partners[1];
    rector.partner_name = "中文 'x' \"y\" \\";
    rector.database_url = rector.effective_database_url = "postgresql://u:s3cret%09@h/d";
    rector.parameter_mapping = {{"a\"\\", "b中"}, {"c", "b中"}};
    rector.is_active = false;
    rector.on_invalid = OnInvalid::accept;
    rector.lanes = 3;
    rector.registry_id = "f81d4fae-7dec-41d0-a765-00a0c91e6bf6";
    rector.owns_unmarked = false;
    rector.former_codes = {"old", "older"};
    return rows;
  }
  Table table() const { return next_table(nullptr, rows()).table; }
  std::string text() const { return partners_to_text(kControl, *table()); }
  PartnerCache cache() const { return PartnerCache(home_, kControl, &clock_); }
  std::string file() const {
    std::ifstream file(path_, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  }
  std::string error_of(std::string_view text, const std::string& control = kControl) const {
    const base::Result<Partners> read = partners_from_text(text, control, home_);
    return read.ok() ? "no error" : read.status().message();
  }
  // `lines` with the checksum that belongs to them.
  static std::string summed(std::string lines) {
    char sum[32];
    std::snprintf(sum, sizeof sum, "crc32c %08x\n", base::crc32c(lines));
    return lines + sum;
  }
  static std::string lines_of(const std::string& text) {
    return text.substr(0, text.rfind("crc32c "));
  }
  static void expect_ok(const base::Status& status) {
    EXPECT_TRUE(status.ok()) << status.message();
  }

  fs::path folder_;
  fs::path path_;
  DatabaseHome home_;
  FakeClock clock_;
};
using CacheText = CacheFixture;
using PartnerCacheTest = CacheFixture;

TEST_F(CacheText, PartnersAreReadBackAsTheyWere) {
  base::Result<Partners> read = partners_from_text(text(), kControl, home_);
  ASSERT_TRUE(read.ok()) << read.status().message();
  EXPECT_EQ(read.value().partners, rows().partners);
  EXPECT_THAT(read.value().bad, IsEmpty());
}

TEST_F(CacheText, OfAnotherControlDatabaseIsRefusedAndNamesIt) {
  EXPECT_EQ(error_of(text(), "postgresql://other/control"),
            "it is of another control database: " + std::string(kControl));
}

TEST_F(CacheText, DatabasesAreFoundFromTheSettingsOfToday) {
  const DatabaseHome moved{"postgresql://postback:n3w@db/control", "elsewhere"};
  base::Result<Partners> read = partners_from_text(text(), kControl, moved);
  ASSERT_TRUE(read.ok()) << read.status().message();
  EXPECT_EQ(read.value().partners[0].effective_database_url,
            "postgresql://postback:n3w@db/involve_asia_db");
  EXPECT_THAT(text(), Not(HasSubstr("postback:s3cret")));
}

TEST_F(CacheText, ColumnsOfOtherVersionsAreGoneByTheirNames) {
  // Neither lanes nor on_invalid, in another order, and one that nobody knows.
  const std::string other = summed(
      "postback partners 1\ncontrol x\nnew\tendpoint_path\tdatabase_name\tpartner_name\t"
      "partner_code\tid\n?\t/a/event\ta_db\tA\ta\t7\n");
  base::Result<Partners> read = partners_from_text(other, "x", home_);
  ASSERT_TRUE(read.ok()) << read.status().message();
  ASSERT_THAT(read.value().partners, SizeIs(1)) << read.value().bad.at(0).error;
  const Partner& partner = read.value().partners[0];
  EXPECT_EQ(partner.id, 7);
  EXPECT_EQ(partner.endpoint_path, "/a/event");
  EXPECT_EQ(partner.lanes, 1);
  EXPECT_EQ(partner.registry_id, "") << "an older program wrote none";
  EXPECT_TRUE(partner.owns_unmarked);
}

TEST_F(CacheText, PartnerThatIsNotUnderstoodIsSetAside) {
  std::string lines = lines_of(text());
  const std::string zone = "\tUTC\t";
  lines.replace(lines.rfind(zone), zone.size(), "\tMars/Olympus\t");
  base::Result<Partners> read = partners_from_text(summed(lines), kControl, home_);
  ASSERT_TRUE(read.ok()) << read.status().message();
  EXPECT_THAT(read.value().partners, SizeIs(1));
  ASSERT_THAT(read.value().bad, SizeIs(1));
  EXPECT_EQ(read.value().bad[0].partner_code, "rector");
  EXPECT_THAT(read.value().bad[0].error, HasSubstr("timezone"));
}

TEST_F(CacheText, WhatDoesNotFitIsRefused) {
  const std::string lines = lines_of(text());
  const std::string last = lines.substr(lines.rfind('\n', lines.size() - 2) + 1);
  EXPECT_THAT(error_of(summed(lines + last)), HasSubstr("partner rector has no id, or its id"));
  EXPECT_THAT(error_of(summed(lines + "1\n")), HasSubstr("not one field per column"));
  EXPECT_THAT(error_of(summed("postback partners 2\n")), HasSubstr("another version"));
  EXPECT_THAT(error_of(summed("")), HasSubstr("another version"));
  EXPECT_THAT(error_of(""), HasSubstr("no such file"));
  const std::string control = "postback partners 1\ncontrol " + std::string(kControl) + "\n";
  EXPECT_THAT(error_of(summed("postback partners 1\n")), HasSubstr("another control database"));
  EXPECT_EQ(error_of(summed(control)), "no error")
      << "no partners, which the file's reader refuses";
}

TEST_F(CacheText, NoByteCanBeFlippedOrLost) {
  const std::string whole = text();
  for (size_t i = 0; i < whole.size(); ++i) {
    std::string changed = whole;
    changed[i] = static_cast<char>(changed[i] ^ 0x01);
    EXPECT_NE(error_of(changed), "no error") << "byte " << i;
    EXPECT_NE(error_of(whole.substr(0, i)), "no error") << "cut at " << i;
  }
}

TEST_F(CacheText, AnyLinesWithARightChecksumAreSafe) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const std::string lines = lines_of(text());
  for (int round = 0; round < 3000; ++round) {
    std::string changed = lines;
    for (uint32_t edits = 1 + random() % 4; edits > 0 && !changed.empty(); --edits) {
      const size_t at = random() % changed.size();
      if (random() % 2 == 0) {
        changed[at] = "\t\n\0a1{"[random() % 6];
      } else {
        changed.erase(at, random() % 40);
      }
    }
    base::Result<Partners> read = partners_from_text(summed(changed), kControl, home_);
    // Whatever was understood makes a table: its paths are unique.
    if (!read.ok()) continue;
    EXPECT_NE(next_table(nullptr, read.take()).table, nullptr);
  }
}

TEST_F(PartnerCacheTest, KeepsThePartnersForItsOwnerOnly) {
  PartnerCache cache = this->cache();
  EXPECT_THAT(cache.load().status().message(),
              AllOf(HasSubstr("cannot open " + path_.string()), HasSubstr("No such file")));
  expect_ok(cache.keep(table()));
  EXPECT_EQ(fs::status(path_).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_EQ(file(), text());
  base::Result<CachedPartners> loaded = this->cache().load();
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  EXPECT_EQ(loaded.value().rows.partners, rows().partners);
}

TEST_F(PartnerCacheTest, WritesOnlyWhatChanged) {
  PartnerCache cache = this->cache();
  const Table one = table();
  expect_ok(cache.keep(one));
  // A mark that only a rewrite would remove.
  fs::permissions(path_, fs::perms::owner_all);
  clock_.pass(3600);
  expect_ok(cache.keep(one));
  expect_ok(this->cache().keep(table()));  // After a restart.
  EXPECT_EQ(fs::status(path_).permissions(), fs::perms::owner_all);
  Partners changed = rows();
  changed.partners[0].lanes = 2;
  const Table two = next_table(one.get(), changed).table;
  expect_ok(cache.keep(two));
  EXPECT_EQ(cache.load().value().rows.partners[0].lanes, 2);
  EXPECT_NE(fs::status(path_).permissions(), fs::perms::owner_all);
}

TEST_F(PartnerCacheTest, SaysToTheMinuteWhenItWasLastTrue) {
  PartnerCache cache = this->cache();
  const Table one = table();
  expect_ok(cache.keep(one));
  clock_.pass(60);
  expect_ok(cache.keep(one));
  EXPECT_EQ(cache.load().value().confirmed_us, kNowUs + 60'000'000);
  clock_.pass(59);
  expect_ok(cache.keep(one));
  EXPECT_EQ(cache.load().value().confirmed_us, kNowUs + 60'000'000);
  clock_.pass(1);
  expect_ok(cache.keep(one));
  EXPECT_EQ(cache.load().value().confirmed_us, kNowUs + 120'000'000);
}

TEST_F(PartnerCacheTest, IsWrittenAgainWhenItVanished) {
  PartnerCache cache = this->cache();
  const Table one = table();
  expect_ok(cache.keep(one));
  fs::remove_all(folder_ / "data");
  clock_.pass(60);
  expect_ok(cache.keep(one));
  EXPECT_EQ(file(), text());
}

TEST_F(PartnerCacheTest, FailureIsToldAndTriedAgainAMinuteLater) {
  std::ofstream(folder_ / "data") << "not a folder";
  PartnerCache cache = this->cache();
  const Table one = table();
  EXPECT_THAT(cache.keep(one).message(), HasSubstr("data"));
  EXPECT_TRUE(cache.keep(one).ok()) << "told already";
  fs::remove(folder_ / "data");
  clock_.pass(60);
  expect_ok(cache.keep(one));
  EXPECT_EQ(file(), text());
}

TEST_F(PartnerCacheTest, WithoutPartnersOrDamagedIsNotUsed) {
  PartnerCache cache = this->cache();
  expect_ok(cache.keep(next_table(nullptr, Partners()).table));
  EXPECT_EQ(cache.load().status().message(), path_.string() + " holds no partner");
  std::ofstream(path_, std::ios::app) << "x";
  EXPECT_EQ(cache.load().status().message(),
            path_.string() + " cannot be used: it is damaged: its checksum is wrong");
}

}  // namespace
}  // namespace postback::partner
