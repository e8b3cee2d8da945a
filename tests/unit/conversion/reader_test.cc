// What the reader does with good postbacks: both shipped partners, both ways of mapping, every way
// of sending. The bad ones are in reader_fault_test.cc.
#include "conversion/reader.h"

#include "reader_fixture.h"

namespace postback::conversion {
namespace {

constexpr std::string_view kInvolveCall =
    "sub_id=test123&media_id=media456&click_id=click789&usd_sale_amount=99.99&usd_payout=9.99"
    "&offer_name=Test&conversion_id=conv001&conversion_datetime=2025-01-15";

TEST_F(ReaderTest, ReadsTheShippedCallOfInvolveAsia) {
  ASSERT_EQ(get(kInvolveCall), Reason::none);
  EXPECT_EQ(out_.partner_id, 1);
  EXPECT_EQ(out_.received_at_us, 1'736'936'430'000'000);
  EXPECT_EQ(text(Field::request_ip), "203.0.113.7");
  EXPECT_EQ(text(Field::conversion_id), "conv001");
  EXPECT_EQ(text(Field::sub_id), "test123");
  EXPECT_EQ(text(Field::media_id), "media456");
  EXPECT_EQ(text(Field::click_id), "click789");
  EXPECT_EQ(text(Field::offer_name), "Test");
  EXPECT_EQ(text(Field::offer_id), "(absent)");
  EXPECT_EQ(sale(), "99.99");
  EXPECT_EQ(earning(), "9.99");
  EXPECT_EQ(date(), "2025-01-15T00:00:00Z");
  EXPECT_EQ(notes(), "(absent)");
  EXPECT_EQ(text(Field::fault_field), "(absent)");
  EXPECT_EQ(text(Field::target), "(absent)");
  // As it came, in order, and then the partner's names of what came under ours.
  EXPECT_EQ(raw_data(),
            R"({"sub_id":"test123","media_id":"media456","click_id":"click789",)"
            R"("usd_sale_amount":"99.99","usd_payout":"9.99","offer_name":"Test",)"
            R"("conversion_id":"conv001","conversion_datetime":"2025-01-15",)"
            R"("datetime_conversion":"2025-01-15","aff_sub2":"media456","aff_sub":"test123",)"
            R"("aff_sub3":"click789"})");
}

TEST_F(ReaderTest, ReadsTheShippedCallOfRector) {
  use(rector());
  ASSERT_EQ(get("media_id=media456&sub_id=test123&usd_sale_amount=99.99&usd_earning=9.99"
                "&offer_name=Test&conversion_id=conv002&conversion_datetime=2025-01-15"
                "&click_id=click789"),
            Reason::none);
  EXPECT_EQ(out_.partner_id, 2);
  EXPECT_EQ(text(Field::conversion_id), "conv002");
  EXPECT_EQ(text(Field::sub_id), "test123");
  EXPECT_EQ(text(Field::media_id), "media456");
  EXPECT_EQ(text(Field::click_id), "click789");
  EXPECT_EQ(earning(), "9.99");
  EXPECT_EQ(notes(), "(absent)");
  EXPECT_EQ(raw_data(), R"({"media_id":"media456","sub_id":"test123","usd_sale_amount":"99.99",)"
                        R"("usd_earning":"9.99","offer_name":"Test","conversion_id":"conv002",)"
                        R"("conversion_datetime":"2025-01-15","click_id":"click789"})");
}

TEST_F(ReaderTest, FillsTheSameColumnsFromThePartnersOwnNames) {
  ASSERT_EQ(get("aff_sub=test123&aff_sub2=media456&aff_sub3=click789&usd_sale_amount=99.99"
                "&usd_payout=9.99&offer_name=Test&conversion_id=conv001"
                "&datetime_conversion=2025-01-15+10:20:30"),
            Reason::none);
  EXPECT_EQ(text(Field::sub_id), "test123");
  EXPECT_EQ(text(Field::media_id), "media456");
  EXPECT_EQ(text(Field::click_id), "click789");
  EXPECT_EQ(earning(), "9.99");
  EXPECT_EQ(date(), "2025-01-15T10:20:30Z");
  EXPECT_EQ(notes(), "(absent)");
  EXPECT_EQ(raw_data(), R"({"aff_sub":"test123","aff_sub2":"media456","aff_sub3":"click789",)"
                        R"("usd_sale_amount":"99.99","usd_payout":"9.99","offer_name":"Test",)"
                        R"("conversion_id":"conv001","datetime_conversion":"2025-01-15 10:20:30",)"
                        R"("conversion_datetime":"2025-01-15 10:20:30","media_id":"media456",)"
                        R"("sub_id":"test123","click_id":"click789"})");
}

TEST_F(ReaderTest, LetsTheLeftNameWinAndNotesTheDisagreement) {
  ASSERT_EQ(get("conversion_id=c1&aff_sub=theirs&sub_id=ours"), Reason::none);
  EXPECT_EQ(text(Field::sub_id), "ours");
  EXPECT_EQ(notes(), "sub_id and aff_sub differ: sub_id is used");
  EXPECT_EQ(raw_data(), R"({"conversion_id":"c1","aff_sub":"theirs","sub_id":"ours"})");
  ASSERT_EQ(get("conversion_id=c1&aff_sub=same&sub_id=same"), Reason::none);
  EXPECT_EQ(notes(), "(absent)");
}

TEST_F(ReaderTest, ListsTheMappingsThatApplied) {
  ASSERT_EQ(get("conversion_id=c1&aff_sub=test123&unknown=1"), Reason::none);
  ASSERT_EQ(reader_.steps().size(), 2u);
  EXPECT_EQ(reader_.steps()[0].name, "conversion_id");
  EXPECT_EQ(reader_.steps()[1].name, "sub_id");
  EXPECT_EQ(reader_.steps()[1].partner_name, "aff_sub");
  EXPECT_EQ(reader_.steps()[1].value, "test123");
}

TEST_F(ReaderTest, FillsUsdEarningFromEitherName) {
  use(rector());
  ASSERT_EQ(get("conversion_id=c1&usd_payout=1.50"), Reason::none);
  EXPECT_EQ(earning(), "1.50");
  ASSERT_EQ(get("conversion_id=c1&usd_payout=1.50&usd_earning=1.5"), Reason::none);
  EXPECT_EQ(earning(), "1.5");
  EXPECT_EQ(notes(), "(absent)");
  ASSERT_EQ(get("conversion_id=c1&usd_payout=1.51&usd_earning=1.5"), Reason::none);
  EXPECT_EQ(earning(), "1.5");
  EXPECT_EQ(notes(), "usd_earning and usd_payout differ: usd_earning is used");
}

TEST_F(ReaderTest, AcceptsAColumnThatNobodyMappedUnderItsOwnName) {
  ASSERT_EQ(get("conversion_id=c1&offer_id=77"), Reason::none);
  EXPECT_EQ(text(Field::offer_id), "77");
}

TEST_F(ReaderTest, KeepsMappedNamesThatAreNoColumnsInRawData) {
  Partner partner;
  partner.parameter_mapping = {{"param1", "mapped_param1"}, {"param2", "mapped_param2"}};
  use(partner);
  ASSERT_EQ(get("conversion_id=c1&mapped_param1=a&param2=b&other=c"), Reason::none);
  EXPECT_EQ(raw_data(), R"({"conversion_id":"c1","mapped_param1":"a","param2":"b","other":"c",)"
                        R"("param1":"a","mapped_param2":"b"})");
}

TEST_F(ReaderTest, NeverWritesANameTwiceHoweverTheMappingCrosses) {
  Partner partner;
  partner.parameter_mapping = {{"a", "x"}, {"b", "x"}, {"x", "y"}, {"y", "a"}, {"self", ""}};
  use(partner);
  ASSERT_EQ(get("conversion_id=c1&a=1&b=2"), Reason::none);
  EXPECT_EQ(raw_data(), R"({"conversion_id":"c1","a":"1","b":"2","x":"1","y":"1"})");
}

TEST_F(ReaderTest, KeepsWhatNobodyMapped) {
  ASSERT_EQ(get("conversion_id=c1&country=TW&empty=&=nameless"), Reason::none);
  EXPECT_EQ(raw_data(), R"({"conversion_id":"c1","country":"TW","empty":"","":"nameless"})");
}

TEST_F(ReaderTest, ReadsAForm) {
  ASSERT_EQ(post("application/x-www-form-urlencoded", "conversion_id=c1&aff_sub=a+b%21"),
            Reason::none);
  EXPECT_EQ(text(Field::conversion_id), "c1");
  EXPECT_EQ(text(Field::sub_id), "a b!");
}

TEST_F(ReaderTest, ReadsAJsonBodyWithExactNumbers) {
  ASSERT_EQ(post_json(R"({"conversion_id": 1234567890123456789012, "usd_sale_amount": 99.90,
                          "usd_payout": "9.99", "aff_sub": "轉換", "offer_id": null, "ok": true})"),
            Reason::none);
  EXPECT_EQ(text(Field::conversion_id), "1234567890123456789012");
  EXPECT_EQ(sale(), "99.90");
  EXPECT_EQ(earning(), "9.99");
  EXPECT_EQ(text(Field::sub_id), "轉換");
  EXPECT_EQ(text(Field::offer_id), "(absent)");
  EXPECT_EQ(notes(), "(absent)");
  EXPECT_EQ(raw_data(),
            R"({"conversion_id":1234567890123456789012,"usd_sale_amount":99.90,)"
            R"("usd_payout":"9.99","aff_sub":"轉換","offer_id":null,"ok":true,"sub_id":"轉換"})");
}

TEST_F(ReaderTest, GuessesTheKindOfABodyWithoutAType) {
  ASSERT_EQ(post("", " \n{\"conversion_id\":\"c1\"}"), Reason::none);
  ASSERT_EQ(post("", "\xEF\xBB\xBF{\"conversion_id\":\"c1\"}"), Reason::none);
  ASSERT_EQ(post("", "conversion_id=c1"), Reason::none);
  EXPECT_EQ(text(Field::conversion_id), "c1");
}

TEST_F(ReaderTest, LetsTheBodyWinOverTheQueryAndKeepsBoth) {
  ASSERT_EQ(post("application/x-www-form-urlencoded", "sub_id=body&click_id=same",
                 "conversion_id=c1&sub_id=query&click_id=same"),
            Reason::none);
  EXPECT_EQ(text(Field::sub_id), "body");
  EXPECT_EQ(notes(), "sub_id differs between body and query: the body's is used");
  EXPECT_EQ(raw_data(), R"({"sub_id":["body","query"],"click_id":"same","conversion_id":"c1",)"
                        R"("aff_sub":"body","aff_sub3":"same"})");
}

TEST_F(ReaderTest, TakesTheQuerysValueWhereTheBodySaysNull) {
  ASSERT_EQ(post_json(R"({"sub_id":null})", "conversion_id=c1&sub_id=query"), Reason::none);
  EXPECT_EQ(text(Field::sub_id), "query");
  EXPECT_EQ(notes(), "(absent)");
}

TEST_F(ReaderTest, IgnoresTheBodyOfAGet) {
  RawPostback raw;
  raw.method = "GET";
  raw.query = "conversion_id=c1";
  raw.content_type = "text/xml";
  raw.body = "sub_id=x";
  ASSERT_EQ(read(raw), Reason::none);
  EXPECT_EQ(text(Field::sub_id), "(absent)");
  raw.query = "";
  ASSERT_EQ(read(raw), Reason::conversion_id_missing);
  EXPECT_EQ(text(Field::body), "sub_id=x");
}

TEST_F(ReaderTest, DoesNotAskForTheTypeOfAnEmptyBody) {
  ASSERT_EQ(post("application/json", "", "conversion_id=c1"), Reason::none);
}

TEST_F(ReaderTest, KeepsTheFirstOfSeveralValuesAndNotesThem) {
  ASSERT_EQ(get("conversion_id=c1&sub_id=a&sub_id=a&sub_id=b&sub_id=c&sub_id=b"), Reason::none);
  EXPECT_EQ(text(Field::sub_id), "a");
  EXPECT_EQ(raw_data(), R"({"conversion_id":"c1","sub_id":["a","b","c"],"aff_sub":"a"})");
  EXPECT_EQ(notes(), "sub_id came with different values: the first is used");
}

TEST_F(ReaderTest, ReadsDatesInThePartnersZone) {
  Partner partner = involve_asia();
  partner.timezone = "Asia/Kuala_Lumpur";
  use(partner);
  ASSERT_EQ(get("conversion_id=c1&datetime_conversion=2025-01-15%2010:20:30"), Reason::none);
  EXPECT_EQ(date(), "2025-01-15T02:20:30Z");
  ASSERT_EQ(get("conversion_id=c1&datetime_conversion="), Reason::none);
  EXPECT_EQ(date(), "(absent)");
  EXPECT_EQ(notes(), "(absent)");
}

TEST_F(ReaderTest, WritesHeadersOnceJoiningRepeatedOnes) {
  const Header headers[] = {
      {"Host", "x"}, {"X-A", "1\"\\"}, {"User-Agent", "\xffo"}, {"x-a", "2\t"}, {"X-a", ""}};
  RawPostback raw;
  raw.method = "GET";
  raw.query = "conversion_id=c1";
  raw.headers = headers;
  ASSERT_EQ(read(raw), Reason::none);
  EXPECT_EQ(text(Field::request_headers),
            "{\"Host\":\"x\",\"X-A\":\"1\\\"\\\\, 2\\t, \",\"User-Agent\":\"\uFFFDo\"}");
}

TEST_F(ReaderTest, StartsAfreshWithEveryPostback) {
  ASSERT_EQ(post_json(R"({"conversion_id":"c1","sub_id":"\u0000","usd_payout":"1",)"
                      R"("conversion_datetime":"2025-01-15"})"),
            Reason::none);
  ASSERT_EQ(get("conversion_id={x}&usd_payout=2"), Reason::conversion_id_macro);
  EXPECT_EQ(earning(), "(absent)");
  ASSERT_EQ(get("conversion_id=c2"), Reason::none);
  EXPECT_EQ(text(Field::conversion_id), "c2");
  EXPECT_EQ(text(Field::sub_id), "(absent)");
  EXPECT_EQ(earning(), "(absent)");
  EXPECT_EQ(date(), "(absent)");
  EXPECT_EQ(notes(), "(absent)");
  EXPECT_EQ(raw_data(), R"({"conversion_id":"c2"})");
  EXPECT_EQ(reader_.steps().size(), 1u);
}

}  // namespace
}  // namespace postback::conversion
