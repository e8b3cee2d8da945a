// What the tests of the reader share: the two shipped partners and a postback in one call.
#pragma once

#include <gtest/gtest.h>
#include <simdjson.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "base/utf8.h"
#include "conversion/mapping.h"
#include "conversion/reader.h"
#include "described.h"

namespace postback::conversion {

inline Partner involve_asia() {
  Partner partner;
  partner.id = 1;
  partner.partner_code = "involve_asia";
  partner.parameter_mapping = {
      {"sub_id", "aff_sub"},
      {"media_id", "aff_sub2"},
      {"click_id", "aff_sub3"},
      {"usd_sale_amount", "usd_sale_amount"},
      {"usd_payout", "usd_payout"},
      {"offer_name", "offer_name"},
      {"conversion_id", "conversion_id"},
      {"conversion_datetime", "datetime_conversion"},
  };
  return partner;
}

inline Partner rector() {
  Partner partner;
  partner.id = 2;
  partner.partner_code = "rector";
  for (const char* name : {"media_id", "sub_id", "usd_sale_amount", "usd_earning", "offer_name",
                           "conversion_id", "conversion_datetime", "click_id"}) {
    partner.parameter_mapping.push_back({name, name});
  }
  return partner;
}

class ReaderTest : public testing::Test {
 protected:
  ReaderTest() { use(involve_asia()); }

  void use(const Partner& partner) {
    auto compiled = Mapping::compile(partner);
    ASSERT_TRUE(compiled.ok()) << compiled.status().message();
    mapping_ = compiled.take();
  }
  Reason get(std::string_view query) {
    RawPostback raw;
    raw.method = "GET";
    raw.query = query;
    return read(raw);
  }
  Reason post(std::string_view content_type, std::string_view body, std::string_view query = "") {
    RawPostback raw;
    raw.method = "POST";
    raw.query = query;
    raw.content_type = content_type;
    raw.body = body;
    return read(raw);
  }
  Reason post_json(std::string_view body, std::string_view query = "") {
    return post("application/json", body, query);
  }
  // Every result is checked for what always holds.
  Reason read(RawPostback raw) {
    target_ = "/partner/x?" + std::string(raw.query);
    raw.target = target_;
    raw.request_ip = "203.0.113.7";
    raw.received_at_us = 1'736'936'430'000'000;
    const Reason reason = reader_.read(*mapping_, raw, &out_);
    EXPECT_EQ(reason, out_.reason);
    // Read once more, it is the same: what was remembered of it changes nothing.
    const std::string first = described(out_);
    reader_.read(*mapping_, raw, &out_);
    EXPECT_EQ(described(out_), first);
    for (const Field field : {Field::raw_data, Field::request_headers}) {
      // The DOM parser refuses integers beyond 64 bits, which are JSON all the same.
      simdjson::dom::parser parser;
      const auto error = parser.parse(simdjson::padded_string(out_.text(field))).error();
      EXPECT_TRUE(!error || error == simdjson::NUMBER_ERROR) << out_.text(field);
      EXPECT_EQ(out_.text(field).find('\0'), std::string_view::npos);
    }
    EXPECT_EQ(out_.has(Field::fault_message), reason != Reason::none);
    EXPECT_TRUE(base::is_valid_utf8(text(Field::fault_message)));
    EXPECT_TRUE(base::is_valid_utf8(text(Field::processing_error)));
    return reason;
  }
  // The text of a field, or "(absent)".
  std::string text(Field field) const {
    return out_.has(field) ? std::string(out_.text(field)) : "(absent)";
  }
  std::string raw_data() const { return text(Field::raw_data); }
  std::string notes() const { return text(Field::processing_error); }
  std::string date() const {
    if (!out_.conversion_datetime_us) return "(absent)";
    std::string iso;
    base::append_iso8601(&iso, *out_.conversion_datetime_us);
    return iso;
  }
  std::string sale() const {
    return out_.usd_sale_amount ? out_.usd_sale_amount->to_string() : "(absent)";
  }
  std::string earning() const {
    return out_.usd_earning ? out_.usd_earning->to_string() : "(absent)";
  }

  std::shared_ptr<const Mapping> mapping_;
  Reader reader_;
  Conversion out_;
  std::string target_;
};

}  // namespace postback::conversion
