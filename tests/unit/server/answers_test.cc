#include "server/answers.h"

#include <gtest/gtest.h>

#include "partner/partner_table.h"

namespace postback::server {
namespace {

Partner involve() {
  Partner partner;
  partner.partner_code = "involve_asia";
  partner.partner_name = "InvolveAsia";
  partner.endpoint_path = "/involve/event";
  return partner;
}

Conversion conversion() {
  Conversion conversion;
  conversion.id = 42;
  conversion.set(Field::conversion_id, "conv001");
  conversion.set(Field::offer_name, "Test \"quoted\"");
  Decimal amount;
  EXPECT_TRUE(Decimal::parse("99.99", &amount));
  conversion.usd_sale_amount = amount;
  conversion.set(Field::sub_id, "");
  return conversion;
}

TEST(Answers, SuccessHasTheFixedShape) {
  base::TextBuffer out;
  append_success(&out, partner::answered_json(involve()), conversion(), 1250);
  EXPECT_EQ(out.view(),
            R"({"status":"success","partner":{"code":"involve_asia","name":"InvolveAsia",)"
            R"("endpoint":"/involve/event"},"conversion":{"id":42,"conversion_id":"conv001",)"
            R"("offer_name":"Test \"quoted\"","usd_sale_amount":99.99,"usd_earning":null,)"
            R"("media_id":null,"sub_id":"","click_id":null},"processing_time_ms":1.25,)"
            R"("message":"Conversion processed successfully"})");
}

TEST(Answers, AcceptedHasTheShapeOfSuccess) {
  base::TextBuffer success;
  append_success(&success, partner::answered_json(involve()), conversion(), 40);
  base::TextBuffer accepted;
  append_accepted(&accepted, partner::answered_json(involve()), conversion(), 40);
  std::string expected(success.view());
  const auto replace = [&expected](std::string_view from, std::string_view to) {
    expected.replace(expected.find(from), from.size(), to);
  };
  replace("success", "accepted");
  replace("Conversion processed successfully",
          "Conversion accepted; it is stored as soon as the database is back");
  EXPECT_EQ(accepted.view(), expected);
}

TEST(Answers, DuplicateHasTheFixedShape) {
  base::TextBuffer out;
  append_duplicate(&out, involve(), conversion());
  EXPECT_EQ(out.view(),
            R"({"status":"duplicate","partner":"InvolveAsia","conversion_id":"conv001",)"
            R"("message":"Duplicate conversion detected"})");
}

TEST(Answers, AnErrorNamesCodeMessageAndField) {
  std::string out;
  append_error(&out, "amount_invalid", "not a number", "usd_sale_amount");
  EXPECT_EQ(out, R"({"status":"error","error":{"code":"amount_invalid","message":"not a number",)"
                 R"("field":"usd_sale_amount"}})");
}

TEST(Answers, AQuarantinedPostbackOfAnAcceptingPartnerIsToldWithItsReason) {
  Conversion row = conversion();
  row.reason = Reason::amount_invalid;
  row.set(Field::fault_field, "usd_payout");
  row.set(Field::fault_message, "no");
  std::string out;
  append_quarantined(&out, involve(), row);
  EXPECT_EQ(out, R"({"status":"quarantined","partner":"InvolveAsia","quarantine_id":42,)"
                 R"("error":{"code":"amount_invalid","message":"no","field":"usd_payout"}})");
}

TEST(Answers, MillisecondsKeepTwoDecimalsOrThreeBelowOne) {
  const auto text = [](uint64_t microseconds) {
    std::string out;
    append_milliseconds(&out, microseconds);
    return out;
  };
  EXPECT_EQ(text(0), "0.000");
  EXPECT_EQ(text(7), "0.007");
  EXPECT_EQ(text(840), "0.840");
  EXPECT_EQ(text(1250), "1.25");
  EXPECT_EQ(text(12345), "12.34");
}

TEST(Answers, APageEndsWithACursorOnlyWhenThereMayBeMore) {
  ingest::ReadJob job;
  StoredConversion row;
  row.id = 9007199254740993;
  row.conversion_id = "a";
  row.usd_sale_amount = "0.10";
  row.raw_data = R"({"x":1})";
  job.conversions.push_back(row);
  std::string out;
  append_conversions(&out, involve(), job);
  EXPECT_NE(out.find(R"("next_cursor":null)"), std::string::npos) << out;
  EXPECT_NE(out.find(R"("usd_sale_amount":0.10)"), std::string::npos) << out;
  EXPECT_NE(out.find(R"("raw_data":{"x":1})"), std::string::npos) << out;
  job.more = true;
  out.clear();
  append_conversions(&out, involve(), job);
  EXPECT_NE(out.find(R"("next_cursor":"9007199254740993")"), std::string::npos) << out;
}

}  // namespace
}  // namespace postback::server
