// What came before: what a reader makes of a postback is the same whether it knows the layout of
// the query and the headers, or sees them for the first time.
#include "conversion/known_layouts.h"

#include "conversion/urlencoded.h"
#include "described.h"
#include "reader_fixture.h"

namespace postback::conversion {
namespace {

constexpr std::string_view kQuery =
    "aff_sub=test123&aff_sub2=media456&unknown=1&usd_sale_amount=99.99&usd_payout=9.99"
    "&offer_name=Test&conversion_id=conv001&datetime_conversion=2025-01-15";

class KnownLayoutsTest : public testing::Test {
 protected:
  KnownLayoutsTest() : mapping_(Mapping::compile(involve_asia()).take()) {}

  static RawPostback raw_of(std::string_view query) {
    RawPostback raw;
    raw.method = "GET";
    raw.target = "/partner/x";
    raw.query = query;
    raw.received_at_us = 1;
    return raw;
  }
  // What a reader that knows nothing makes of it. The query lies in memory of just its size, so
  // that AddressSanitizer sees a byte read behind it.
  std::string fresh(std::string_view query) const {
    Reader reader;
    return read(&reader, query);
  }
  std::string read(Reader* reader, std::string_view query) const {
    const std::vector<char> bytes(query.begin(), query.end());
    Conversion out;
    reader->read(*mapping_, raw_of({bytes.data(), bytes.size()}), &out);
    std::string text = described(out);
    for (const MappedStep& step : reader->steps()) {
      text.append("\n").append(step.name).append(" -> ").append(step.partner_name);
      text.append(" = ").append(step.value);
    }
    return text;
  }
  std::vector<Parameter> parsed(std::string_view query) {
    decoder_.parse(query, Parameter::Source::query, &list_);
    const std::vector<Parameter> parameters = list_.parameters();
    list_.clear();
    return parameters;
  }
  bool learns(std::string_view query) {
    KnownLayouts layouts;
    layouts.learn(*mapping_, query, parsed(query));
    return layouts.find(*mapping_, query) != nullptr;
  }

  std::shared_ptr<const Mapping> mapping_;
  UrlDecoder decoder_;
  ParameterList list_;
};

TEST_F(KnownLayoutsTest, KnowsTheSameNamesWithOtherValues) {
  KnownLayouts layouts;
  layouts.learn(*mapping_, "conversion_id=1&a=2", parsed("conversion_id=1&a=2"));
  QueryLayout* layout = layouts.find(*mapping_, "conversion_id=other&a=");
  ASSERT_NE(layout, nullptr);
  EXPECT_EQ(layout->table().item(0).parameter.value, "other");
  EXPECT_EQ(layout->table().item(1).parameter.value, "");
  base::TextBuffer json;
  layout->append_raw_data(&json);
  EXPECT_EQ(json.view(), R"({"conversion_id":"other","a":""})");
  for (const char* other :
       {"", "conversion_id=1", "conversion_id=1&a=2&", "conversion_id=1&a=2&b=3",
        "a=2&conversion_id=1", "conversion_id=1&b=2", "&conversion_id=1&a=2", "conversion_id=1&a",
        "conversion_id=1&a=b%20c", "conversion_id=1&a=b+c", "conversion_id=1&a=\"",
        "conversion_id=1&a=\\", "conversion_id=1&a=\x7f", "conversion_id=1&a=\x80",
        "conversion_id=1&a=\x01", "conversion_id=1&&a=2"}) {
    EXPECT_EQ(layouts.find(*mapping_, other), nullptr) << other;
  }
  EXPECT_EQ(
      layouts.find(*mapping_, "conversion_id=1&a=" + std::string(kParameterBytesMax + 1, 'x')),
      nullptr);
  const auto same_again = Mapping::compile(involve_asia()).take();
  EXPECT_EQ(layouts.find(*same_again, "conversion_id=1&a=2"), nullptr);
}

TEST_F(KnownLayoutsTest, LearnsOnlyWhatValuesCannotChange) {
  EXPECT_TRUE(learns(kQuery));
  EXPECT_TRUE(learns("conversion_id=1=2"));
  EXPECT_TRUE(learns("=x&conversion_id=1"));
  EXPECT_TRUE(learns("usd_payout=1&usd_earning=2"));
  EXPECT_FALSE(learns("a=1&a=2"));
  EXPECT_FALSE(learns("a=1&a=1"));
  EXPECT_FALSE(learns("sub_id=1&aff_sub=1"));  // Two names of one entry: values are compared.
  EXPECT_FALSE(learns("a=1&b"));
  EXPECT_FALSE(learns("a%20b=1"));
  EXPECT_FALSE(learns("a=1%202"));
  EXPECT_FALSE(learns("a=1&&b=2"));
  EXPECT_FALSE(learns("a=1&"));
}

TEST_F(KnownLayoutsTest, GivesALayoutUpThatNobodySendsAnyMore) {
  KnownLayouts layouts;
  layouts.learn(*mapping_, "a=1", parsed("a=1"));
  for (int i = 0; i < 7; ++i) layouts.learn(*mapping_, "b=1", parsed("b=1"));
  EXPECT_NE(layouts.find(*mapping_, "a=1"), nullptr);
  for (int i = 0; i < 8; ++i) layouts.learn(*mapping_, "b=1", parsed("b=1"));
  EXPECT_EQ(layouts.find(*mapping_, "a=1"), nullptr);
  EXPECT_NE(layouts.find(*mapping_, "b=1"), nullptr);
}

TEST_F(KnownLayoutsTest, ChangesNoPostback) {
  Reader reader;
  ASSERT_EQ(read(&reader, kQuery), fresh(kQuery));
  // Every single byte changed, taken out, or put in.
  for (size_t i = 0; i < kQuery.size(); ++i) {
    for (const char c : std::string_view("\0\n &=%+\"\\{x9\x7f\x80", 14)) {
      for (const int kind : {0, 1, 2}) {
        std::string changed(kQuery);
        if (kind == 0) changed[i] = c;
        if (kind == 1) changed.insert(i, 1, c);
        if (kind == 2) changed.erase(i, 1);
        ASSERT_EQ(read(&reader, changed), fresh(changed)) << changed;
        ASSERT_EQ(read(&reader, kQuery), fresh(kQuery));
      }
    }
  }
}

TEST_F(KnownLayoutsTest, ChecksTheValuesOfAKnownLayout) {
  const auto query = [](std::string_view id, std::string_view sale, std::string_view date) {
    return std::string("conversion_id=")
        .append(id)
        .append("&usd_sale_amount=")
        .append(sale)
        .append("&datetime_conversion=")
        .append(date)
        .append("&sub_id=")
        .append(id);
  };
  const std::string long_value(300, 'x');
  Reader reader;
  for (const std::string_view id :
       {std::string_view("c1"), std::string_view(""), std::string_view("null"),
        std::string_view("{conversion_id}"), std::string_view("conversion_id"),
        std::string_view(long_value)}) {
    for (const char* sale : {"1.5", "", "x", "{sale}", "-0.10", "1e3"}) {
      for (const char* date : {"2025-01-15", "", "2025-02-30", "[date]", "1736936430"}) {
        const std::string text = query(id, sale, date);
        EXPECT_EQ(read(&reader, text), fresh(text)) << text;
      }
    }
  }
}

TEST_F(KnownLayoutsTest, KeepsApartWhatOtherMappingsMean) {
  Reader reader;
  // Compiled again and again: the memory of an old one may be a new one's.
  for (int i = 0; i < 50; ++i) {
    Partner partner = i % 2 == 0 ? involve_asia() : rector();
    partner.id = i;
    mapping_ = Mapping::compile(partner).take();
    for (int again = 0; again < 3; ++again) EXPECT_EQ(read(&reader, kQuery), fresh(kQuery));
  }
}

TEST_F(KnownLayoutsTest, KeepsHeadersApartByTheirBytes) {
  HeadersWriter writer;
  const auto written = [&writer](std::string_view value, std::string_view section) {
    const Header headers[] = {{"A", value}};
    base::TextBuffer out;
    writer.append(headers, section, &out);
    return std::string(out.view());
  };
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(written("1", "A: 1\r\n\r\n"), R"({"A":"1"})");
    EXPECT_EQ(written("2", "A: 2\r\n\r\n"), R"({"A":"2"})");
    EXPECT_EQ(written("3", ""), R"({"A":"3"})");
    EXPECT_EQ(written("4", ""), R"({"A":"4"})");
  }
  EXPECT_EQ(written("9", "A: 2\r\n\r\n"), R"({"A":"2"})");  // Kept at all.
}

}  // namespace
}  // namespace postback::conversion
