#include "partner/partner_cache.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <fstream>

#include "control_fixture.h"

namespace postback::partner {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;
using Cached = std::optional<std::vector<Partner>>;

class PartnerCache : public ControlFixture {
 protected:
  PartnerCache() {
    shipped_ = shipped_partners();
    home_.control_url = "postgresql://postback:secret@db.example:5432/control?sslmode=require";
    for (Partner& partner : shipped_) {
      partner.id = static_cast<int32_t>(&partner - shipped_.data()) + 1;
      partner.created_at_us = partner.updated_at_us = 1'700'000'000'123'000;
      partner.effective_database_url = effective_database_url(home_, partner).take();
    }
  }
  Cached read() {
    base::Result<Cached> cached = read_partner_cache(home_);
    if (cached.ok()) return cached.take();
    ADD_FAILURE() << cached.status().message();
    return std::nullopt;
  }
  std::string bytes() const {
    std::ifstream file(partner_cache_path(home_), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void set_bytes(const std::string& bytes) const {
    // A new file: ext4 syncs one that is cut to nothing and written again, thousands of times.
    std::filesystem::remove(partner_cache_path(home_));
    std::ofstream(partner_cache_path(home_), std::ios::binary) << bytes;
  }

  std::vector<Partner> shipped_;
};

TEST_F(PartnerCache, GivesBackExactlyWhatWasWritten) {
  shipped_[0].database_url = "postgresql://u:p%40ss@other/db";
  shipped_[0].effective_database_url = shipped_[0].database_url;
  shipped_[0].partner_name = "Ünïcode \"quoted\"";
  shipped_[1].is_active = false;
  shipped_[1].on_invalid = OnInvalid::accept;
  expect_ok(write_partner_cache(home_, shipped_));
  ASSERT_TRUE(read().has_value());
  EXPECT_EQ(*read(), shipped_);
  expect_ok(write_partner_cache(home_, {}));
  EXPECT_THAT(*read(), SizeIs(0));
}

TEST_F(PartnerCache, WithoutAFileThereIsNothing) {
  EXPECT_EQ(read(), std::nullopt);
}

TEST_F(PartnerCache, IsForItsUserAndGroupOnly) {
  expect_ok(write_partner_cache(home_, shipped_));
  struct stat status {};
  ASSERT_EQ(stat(partner_cache_path(home_).c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0007, 0u);
}

TEST_F(PartnerCache, OfAnotherControlDatabaseIsNotUsed) {
  expect_ok(write_partner_cache(home_, shipped_));
  home_.control_url = "postgresql://postback:secret@db.example:5432/other";
  EXPECT_EQ(read(), std::nullopt);
}

TEST_F(PartnerCache, APasswordThatChangedIsTheSameDatabase) {
  expect_ok(write_partner_cache(home_, shipped_));
  EXPECT_EQ(bytes().find("secret"), std::string::npos);
  home_.control_url = "postgresql://postback:new@db.example:5432/control";
  EXPECT_THAT(read().value_or(std::vector<Partner>()), SizeIs(shipped_.size()));
}

TEST_F(PartnerCache, AnyByteThatChangedIsDamageAndNothingOfItIsUsed) {
  expect_ok(write_partner_cache(home_, shipped_));
  const std::string whole = bytes();
  for (size_t place = 0; place < whole.size(); ++place) {
    std::string changed = whole;
    changed[place] = static_cast<char>(changed[place] ^ 0x11);
    set_bytes(changed);
    base::Result<Cached> cached = read_partner_cache(home_);
    // In the name of the control database it cannot be told from another one's.
    EXPECT_TRUE(!cached.ok() || !cached.value().has_value()) << place;
  }
  for (size_t size = 0; size < whole.size(); ++size) {
    set_bytes(whole.substr(0, size));
    EXPECT_FALSE(read_partner_cache(home_).ok()) << size;
  }
}

TEST_F(PartnerCache, AFolderThatCannotBeWrittenIsAnErrorThatNamesIt) {
  home_.data_dir = "/proc/nowhere";
  EXPECT_THAT(write_partner_cache(home_, shipped_).message(), HasSubstr("/proc/nowhere"));
}

}  // namespace
}  // namespace postback::partner
