#include "conversion/mapping.h"

#include <gtest/gtest.h>

#include <string>

#include "conversion/mapping_impl.h"
#include "reader_fixture.h"

namespace postback::conversion {
namespace {

TEST(Mapping, FindsEveryNameOfBothSidesAndNoOther) {
  const auto mapping = Mapping::compile(involve_asia()).take();
  const Mapping::Impl& impl = mapping->impl();
  for (const char* name :
       {"sub_id", "aff_sub", "media_id", "aff_sub2", "click_id", "aff_sub3", "datetime_conversion",
        "conversion_datetime", "usd_payout", "offer_id", "usd_earning"}) {
    const int index = impl.find(name);
    ASSERT_GE(index, 0) << name;
    EXPECT_EQ(impl.names[static_cast<size_t>(index)], name);
  }
  for (const char* name : {"", "aff_sub4", "Sub_id", "sub_id "}) EXPECT_EQ(impl.find(name), -1);
}

TEST(Mapping, HasAnEntryForEveryColumnMappedOrNot) {
  const auto mapping = Mapping::compile(Partner()).take();
  EXPECT_EQ(mapping->impl().entries.size(), kColumnCount);
  EXPECT_EQ(mapping->impl().name_of(Column::conversion_id), "conversion_id");
  EXPECT_EQ(mapping->impl().name_of(Column::click_id), "click_id");
  EXPECT_FALSE(mapping->impl().entry(Column::click_id).mapped);
}

TEST(Mapping, HoldsAThousandEntriesAndRefusesMore) {
  Partner partner;
  for (int i = 0; i < 1000; ++i) {
    partner.parameter_mapping.push_back({"n" + std::to_string(i), "p" + std::to_string(i)});
  }
  const auto mapping = Mapping::compile(partner).take();
  for (int i = 0; i < 1000; ++i) ASSERT_GE(mapping->impl().find("p" + std::to_string(i)), 0);
  partner.parameter_mapping.push_back({"x", "y"});
  EXPECT_FALSE(Mapping::compile(partner).ok());
}

TEST(Mapping, RefusesAnUnknownTimezoneAndNamesThePartner) {
  Partner partner = involve_asia();
  partner.timezone = "Asia/Nowhere";
  const auto result = Mapping::compile(partner);
  ASSERT_FALSE(result.ok());
  EXPECT_NE(result.status().message().find("involve_asia"), std::string::npos);
  EXPECT_NE(result.status().message().find("Asia/Nowhere"), std::string::npos);
}

TEST(Mapping, CopiesWhatItNeeds) {
  auto partner = std::make_unique<Partner>(involve_asia());
  const auto mapping = Mapping::compile(*partner).take();
  partner.reset();
  EXPECT_GE(mapping->impl().find("aff_sub"), 0);
}

}  // namespace
}  // namespace postback::conversion
