#include "partner/partner_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "partner/shipped_partners.h"
#include "partner/table_builder.h"
#include "zone_folder.h"

namespace postback::partner {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Table = std::shared_ptr<const PartnerTable>;

Partners shipped_rows() {
  Partners rows;
  rows.partners = shipped_partners();
  for (size_t i = 0; i < rows.partners.size(); ++i) {
    rows.partners[i].id = static_cast<int32_t>(i + 1);
  }
  return rows;
}

TEST(PartnerTable, FindsExactlyTheEndpointPath) {
  const Table table = next_table(nullptr, shipped_rows()).table;
  ASSERT_NE(table, nullptr);
  EXPECT_EQ(table->version(), 1u);
  ASSERT_NE(table->find("/involve/event"), nullptr);
  EXPECT_EQ(table->find("/involve/event")->partner.partner_code, "involve_asia");
  EXPECT_NE(table->find("/involve/event")->mapping, nullptr);
  EXPECT_EQ(table->find("/involve/event/"), nullptr);
  EXPECT_EQ(table->find("/involve"), nullptr);
  EXPECT_EQ(table->find("/Involve/event"), nullptr);
  EXPECT_EQ(table->find(""), nullptr);
}

TEST(PartnerTable, FirstTableIsHandedOutAlsoWhenEmpty) {
  const Table table = next_table(nullptr, Partners()).table;
  ASSERT_NE(table, nullptr);
  EXPECT_THAT(table->entries(), IsEmpty());
  EXPECT_EQ(next_table(table.get(), Partners()).table, nullptr);
}

TEST(PartnerTable, UnchangedEntriesAreTheSameObjects) {
  const Table one = next_table(nullptr, shipped_rows()).table;
  EXPECT_EQ(next_table(one.get(), shipped_rows()).table, nullptr);
  Partners rows = shipped_rows();
  rows.partners[1].is_active = false;
  const TableChange change = next_table(one.get(), rows);
  ASSERT_NE(change.table, nullptr);
  EXPECT_EQ(change.table->version(), 2u);
  EXPECT_EQ(change.table->entries()[0], one->entries()[0]);
  EXPECT_NE(change.table->entries()[1], one->entries()[1]);
  EXPECT_THAT(change.notes, ElementsAre("partner rector changed, /rector/event, inactive"));
}

TEST(PartnerTable, EntriesHaveTheAnsweredJsonOfTheirPartner) {
  const Table one = next_table(nullptr, shipped_rows()).table;
  for (const auto& entry : one->entries()) {
    EXPECT_EQ(entry->answered_json, answered_json(entry->partner));
  }
  Partners rows = shipped_rows();
  rows.partners[0].partner_name = "A \"B\"";
  const Table two = next_table(one.get(), rows).table;
  EXPECT_EQ(two->find("/involve/event")->answered_json,
            R"({"code":"involve_asia","name":"A \"B\"","endpoint":"/involve/event"})");
}

TEST(PartnerTable, TableOfAnotherSourceIsAnotherTableOfTheSameEntries) {
  const Table cached = next_table(nullptr, shipped_rows(), TableSource::cache).table;
  EXPECT_EQ(cached->source(), TableSource::cache);
  const TableChange change = next_table(cached.get(), shipped_rows());
  ASSERT_NE(change.table, nullptr);
  EXPECT_EQ(change.table->source(), TableSource::control_database);
  EXPECT_EQ(change.table->version(), 2u);
  EXPECT_EQ(change.table->entries(), cached->entries());
  EXPECT_THAT(change.notes, IsEmpty());
}

TEST(PartnerTable, RemovedAndAddedPartnersAreNoted) {
  const Table one = next_table(nullptr, shipped_rows()).table;
  Partners rows = shipped_rows();
  rows.partners.erase(rows.partners.begin());
  rows.partners.push_back(rows.partners[0]);
  rows.partners[1].id = 9;
  rows.partners[1].partner_code = "third";
  rows.partners[1].endpoint_path = "/third";
  const TableChange change = next_table(one.get(), rows);
  EXPECT_THAT(change.notes, ElementsAre("partner third added, /third",
                                        "partner involve_asia removed, /involve/event"));
  EXPECT_EQ(change.table->find("/involve/event"), nullptr);
  EXPECT_NE(change.table->find("/third"), nullptr);
}

TEST(PartnerTable, WrongRowKeepsItsEntryFromBefore) {
  const Table one = next_table(nullptr, shipped_rows()).table;
  Partners rows = shipped_rows();
  rows.partners.erase(rows.partners.begin());
  rows.bad.push_back({1, "involve_asia", "timezone: wrong"});
  EXPECT_EQ(next_table(one.get(), rows).table, nullptr);
  EXPECT_THAT(next_table(nullptr, rows).table->entries(), SizeIs(1));
}

// The row was checked, and its zone read, a moment before.
TEST(PartnerTable, AZoneFileThatVanishesAfterTheCheckMakesItsRowABadOne) {
  conversion::ZoneFolder zones;
  Partners rows = shipped_rows();
  rows.partners[0].timezone = "Asia/Taipei";
  const TableChange change = next_table(nullptr, rows);
  ASSERT_THAT(change.bad, SizeIs(1));
  EXPECT_EQ(change.bad[0].id, 1);
  EXPECT_EQ(change.bad[0].partner_code, "involve_asia");
  EXPECT_THAT(change.bad[0].error, ::testing::HasSubstr("Asia/Taipei"));
  ASSERT_THAT(change.table->entries(), SizeIs(1));
  // A partner that was served before goes on as it was.
  const Table before = next_table(nullptr, shipped_rows()).table;
  const TableChange later = next_table(before.get(), rows);
  EXPECT_EQ(later.table, nullptr);
}

TEST(PartnerTable, WrongRowLosesItsEntryWhenAnotherTookItsPath) {
  const Table one = next_table(nullptr, shipped_rows()).table;
  Partners rows = shipped_rows();
  rows.partners.erase(rows.partners.begin());
  rows.partners[0].endpoint_path = "/involve/event";
  rows.bad.push_back({1, "involve_asia", "endpoint_path: wrong"});
  const Table two = next_table(one.get(), rows).table;
  ASSERT_THAT(two->entries(), SizeIs(1));
  EXPECT_EQ(two->find("/involve/event")->partner.partner_code, "rector");
}

}  // namespace
}  // namespace postback::partner
