#include "conversion/json_body.h"

#include <gtest/gtest.h>

#include <string>

namespace postback::conversion {
namespace {

// The members as "name=value", JSON text marked by '~', or the fault.
std::string parsed(std::string_view body) {
  JsonBody json;
  ParameterList list;
  json.parse(body, &list);
  if (list.fault().found()) return std::string(reason_name(list.fault().reason));
  std::string out;
  for (const Parameter& parameter : list.parameters()) {
    if (!out.empty()) out += '|';
    out.append(parameter.name).append(parameter.is_json ? "~" : "=").append(parameter.value);
    EXPECT_EQ(parameter.source, Parameter::Source::body);
  }
  return out;
}

TEST(JsonBody, DecodesStringsAndKeepsOtherValuesAsText) {
  EXPECT_EQ(parsed(R"({"a":"b","n":99.90,"t":true,"f":false,"z":null})"),
            "a=b|n~99.90|t~true|f~false|z~null");
  EXPECT_EQ(parsed(R"({"a":"\u8f49\n\"\\\/\ud83c\udf89"})"), "a=轉\n\"\\/🎉");
  EXPECT_EQ(parsed("{}"), "");
  EXPECT_EQ(parsed(" \r\n\t{ \"a\" : 1 } \n"), "a~1");
}

TEST(JsonBody, KeepsEveryDigitOfANumber) {
  EXPECT_EQ(parsed(R"({"a":123456789012345678901234567890.10,"b":-0,"c":1E+400})"),
            "a~123456789012345678901234567890.10|b~-0|c~1E+400");
}

TEST(JsonBody, KeepsNestedValuesAsTheyAre) {
  EXPECT_EQ(parsed(R"({"a":[1, {"b":[]}] ,"c":{ },"d":[],"e":"x"})"),
            "a~[1, {\"b\":[]}]|c~{ }|d~[]|e=x");
  EXPECT_EQ(parsed(R"({"a":{"x":1,"x":2}})"), R"(a~{"x":1,"x":2})");
}

TEST(JsonBody, RefusesSyntaxErrorsWhereverTheyStand) {
  for (const char* body : {"",
                           " ",
                           "{",
                           "}",
                           "{]",
                           "{\"a\"}",
                           "{\"a\":}",
                           "{\"a\":1,}",
                           "{,}",
                           "{\"a\" 1}",
                           "{a:1}",
                           "{'a':1}",
                           "{\"a\":1 \"b\":2}",
                           "{\"a\":1}}",
                           "{\"a\":1},",
                           "{\"a\":1} 1",
                           "{\"a\":tru}",
                           "{\"a\":truee}",
                           "{\"a\":nullx}",
                           "{\"a\":01}",
                           "{\"a\":+1}",
                           "{\"a\":.5}",
                           "{\"a\":1.}",
                           "{\"a\":1e}",
                           "{\"a\":--1}",
                           "{\"a\":NaN}",
                           "{\"a\":1x}",
                           "{\"a\":\"b\"c}",
                           "{\"a\":[1,]}",
                           "{\"a\":[1 2]}",
                           "{\"a\":[}",
                           "{\"a\":{\"b\":01}}",
                           "{\"a\":[tru]}",
                           "{\"a\":{\"b\"}}",
                           "{\"a\":\"\\x\"}",
                           "{\"a\":\"\\u12\"}",
                           "{\"a\":\"\n\"}",
                           "{\"a\":[\"\\x\"]}",
                           "{\"\\x\":1}",
                           "{\"a\":{\"\\x\":1}}",
                           "{\"a\":\"b}",
                           "{\"a\":1}/**/",
                           "[1",
                           "[1]]",
                           "[,]",
                           "\"a",
                           "\"a\" b",
                           "tru",
                           "1 2",
                           "01"}) {
    EXPECT_EQ(parsed(body), "invalid_json") << body;
  }
  EXPECT_EQ(parsed(std::string_view("{\"a\":1}\0", 8)), "invalid_json");
}

TEST(JsonBody, RefusesInvalidUtf8AndLoneSurrogatesInNamesAndValues) {
  for (const char* body :
       {"{\"a\":\"\xff\"}", "{\"\xc0\x80\":1}", "{\"a\":[\"\xed\xa0\x80\"]}", R"({"a":"\ud800"})",
        R"({"a":"\udc00"})", R"({"a":"\ud800x"})", R"({"a":"\ud800\n"})", R"({"a":"\ud800\ud800"})",
        R"({"a":"\ud800\u0041"})", R"({"\udfff":1})", R"({"a":{"\ud800":1}})",
        R"({"a":"\uDC00\uD800"})"}) {
    EXPECT_EQ(parsed(body), "invalid_json") << body;
  }
  EXPECT_EQ(parsed(R"({"a":"\\ud800"})"), "a=\\ud800");
}

TEST(JsonBody, LetsSixteenLevelsPassAndNotSeventeen) {
  const auto nested = [](int levels) {
    return "{\"a\":" + std::string(levels - 1, '[') + std::string(levels - 1, ']') + "}";
  };
  EXPECT_EQ(parsed(nested(16)).substr(0, 3), "a~[");
  EXPECT_EQ(parsed(nested(17)), "invalid_json");
  EXPECT_EQ(parsed("{\"a\":" + std::string(60'000, '[')), "invalid_json");
  EXPECT_EQ(parsed(std::string(60'000, '[')), "invalid_json");
}

TEST(JsonBody, RefusesARootThatIsNotAnObject) {
  for (const char* body : {"[]", "[1,{}]", "\"a\"", "1", "-1.5e9", "true", "null", " [ ] ",
                           "123456789012345678901234567890", "[123456789012345678901234567890]"}) {
    EXPECT_EQ(parsed(body), "json_not_object") << body;
  }
}

TEST(JsonBody, FindsDuplicateNamesAfterDecoding) {
  EXPECT_EQ(parsed(R"({"a":1,"b":2,"\u0061":1})"), "duplicate_key");
}

TEST(JsonBody, SkipsOneByteOrderMark) {
  EXPECT_EQ(parsed("\xEF\xBB\xBF{\"a\":1}"), "a~1");
  EXPECT_EQ(parsed("\xEF\xBB\xBF\xEF\xBB\xBF{\"a\":1}"), "invalid_json");
  EXPECT_EQ(parsed("\xEF\xBB\xBF"), "invalid_json");
}

TEST(JsonBody, GrowsForALargeBodyAndGoesOnWithSmallOnes) {
  JsonBody json;
  ParameterList list;
  json.parse("{\"a\":1}", &list);
  list.clear();
  const std::string large(60'000, 'x');
  json.parse("{\"a\":\"" + large + "\"}", &list);
  ASSERT_EQ(list.parameters().size(), 1u);
  EXPECT_EQ(list.parameters()[0].value, large);
  EXPECT_EQ(list.fault().reason, Reason::parameter_too_long);
  list.clear();
  json.parse("{\"a\":2}", &list);
  ASSERT_EQ(list.parameters().size(), 1u);
  EXPECT_EQ(list.parameters()[0].value, "2");
}

}  // namespace
}  // namespace postback::conversion
