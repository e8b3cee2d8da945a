#include "partner/partner_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "partner/partner_fields.h"
#include "partner/shipped_partners.h"

namespace postback::partner {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// A good partner's JSON with `more` behind its members.
std::string json_with(const std::string& more) {
  return R"({"partner_code":"new_partner","partner_name":"New Partner",)"
         R"("endpoint_path":"/new/event","database_name":"new_partner_db",)"
         R"("parameter_mapping":{"param1":"mapped_param1","param2":"mapped_param2"})" +
         (more.empty() ? "" : "," + more) + "}";
}

// The same with one member replaced.
std::string json_where(const std::string& name, const std::string& value) {
  std::string json = json_with("");
  const size_t start = json.find("\"" + name + "\":");
  if (start == std::string::npos) return json_with("\"" + name + "\":" + value);
  const size_t value_start = start + name.size() + 3;
  size_t end = json.find(json[value_start] == '{' ? '}' : '"', value_start + 1) + 1;
  return json.replace(value_start, end - value_start, value);
}

std::string error_of(const std::string& json) {
  base::Result<Partner> partner = partner_from_json(json);
  if (partner.ok()) return "no error";
  EXPECT_THAT(partner.status().message(), Not(HasSubstr("\n")));
  return partner.status().message();
}

TEST(PartnerJson, ReadsTheExampleWithDefaults) {
  base::Result<Partner> partner =
      partner_from_json(json_with(R"("cloud_run_service_name":"new-partner-service")"));
  ASSERT_TRUE(partner.ok()) << partner.status().message();
  EXPECT_EQ(partner.value().partner_code, "new_partner");
  EXPECT_EQ(partner.value().cloud_run_service_name, "new-partner-service");
  EXPECT_EQ(partner.value().cloud_run_region, "asia-southeast1");
  EXPECT_EQ(partner.value().max_daily_requests, 100000);
  EXPECT_EQ(partner.value().data_retention_days, 30);
  EXPECT_EQ(partner.value().dedupe_retention_days, 400);
  EXPECT_EQ(partner.value().timezone, "UTC");
  EXPECT_EQ(partner.value().on_invalid, OnInvalid::refuse);
  EXPECT_EQ(partner.value().lanes, 1);
  EXPECT_TRUE(partner.value().is_active);
  EXPECT_TRUE(partner.value().enable_logging);
  const std::vector<MappingEntry> mapping = {{"param1", "mapped_param1"},
                                             {"param2", "mapped_param2"}};
  EXPECT_EQ(partner.value().parameter_mapping, mapping);
}

TEST(PartnerJson, WhatIsWrittenIsReadBackTheSame) {
  std::vector<Partner> partners = shipped_partners();
  partners[0].partner_name = "廣告 \"quoted\" \\";
  partners[1].database_url = "postgresql://u:p@h/db";
  partners[1].is_active = false;
  partners[1].lanes = 64;
  for (const Partner& partner : partners) {
    std::string json;
    append_partner_json(&json, partner, true);
    base::Result<Partner> again = partner_from_json(json);
    ASSERT_TRUE(again.ok()) << again.status().message();
    EXPECT_EQ(again.value(), partner);
  }
}

TEST(PartnerJson, PasswordIsMaskedUnlessAskedForAndAMaskIsNotTakenBack) {
  Partner partner = shipped_partners()[0];
  partner.database_url = "postgresql://u:s3cret@h/db";
  std::string json;
  append_partner_json(&json, partner, false);
  EXPECT_THAT(json, Not(HasSubstr("s3cret")));
  EXPECT_THAT(error_of(json), HasSubstr("its password is masked"));
}

TEST(PartnerJson, WhatTheDatabaseGivesIsIgnored) {
  base::Result<Partner> partner =
      partner_from_json(json_with(R"("id":77,"created_at":"2025-01-15T00:00:00Z")"));
  ASSERT_TRUE(partner.ok());
  EXPECT_EQ(partner.value().id, 0);
  EXPECT_EQ(partner.value().created_at_us, 0);
}

TEST(PartnerJson, UnknownFieldIsAnErrorThatListsTheKnownOnes) {
  const std::string error = error_of(json_with(R"("endpont_path":"/x")"));
  EXPECT_THAT(error, StartsWith("unknown field 'endpont_path'; did you mean endpoint_path"));
  EXPECT_THAT(error, HasSubstr("the fields are partner_code, partner_name, endpoint_path"));
  EXPECT_THAT(error, Not(HasSubstr("created_at")));
}

TEST(PartnerJson, WhatIsNotAnObjectIsRefused) {
  EXPECT_THAT(error_of(""), StartsWith("not JSON"));
  EXPECT_THAT(error_of("{"), StartsWith("not JSON"));
  EXPECT_THAT(error_of("[]"), StartsWith("not a JSON object"));
  EXPECT_THAT(error_of(json_with("") + "x"), StartsWith("not JSON"));
  EXPECT_THAT(error_of("\"" + std::string(70000, 'x') + "\""), StartsWith("longer than 64 KiB"));
}

TEST(PartnerJson, FieldGivenTwiceIsRefused) {
  EXPECT_EQ(error_of(json_with(R"("lanes":1,"lanes":2)")), "lanes: stands twice; keep one");
}

TEST(PartnerJson, WrongTypesAreRefusedWithTheFieldsName) {
  EXPECT_EQ(error_of(json_with(R"("lanes":"2")")),
            "lanes: is of the wrong type; give a whole number");
  EXPECT_EQ(error_of(json_with(R"("is_active":1)")),
            "is_active: is of the wrong type; give true or false");
  EXPECT_EQ(error_of(json_with(R"("timezone":{"a":"b"})")),
            "timezone: is of the wrong type; give a text");
  EXPECT_EQ(error_of(json_where("parameter_mapping", R"("x")")),
            "parameter_mapping: is of the wrong type; give an object of texts");
  EXPECT_THAT(error_of(json_with(R"("lanes":1.5)")), StartsWith("lanes: not a whole number"));
  EXPECT_THAT(error_of(json_with(R"("lanes":[1])")), StartsWith("lanes: a list"));
  EXPECT_EQ(error_of(json_with(R"("timezone":null)")), "no error");
}

TEST(PartnerJson, NumbersOutOfRangeAreRefused) {
  for (const char* member : {R"("lanes":0)", R"("lanes":65)", R"("lanes":4294967297)",
                             R"("max_daily_requests":-1)", R"("data_retention_days":0)"}) {
    EXPECT_THAT(error_of(json_with(member)), HasSubstr("is out of range; give a number from"));
  }
  EXPECT_EQ(error_of(json_with(R"("lanes":64,"max_daily_requests":0)")), "no error");
}

TEST(PartnerJson, CodesOfOtherCharactersAreRefused) {
  for (const char* code :
       {R"("")", R"("A")", R"("a b")", R"("a/b")", R"("é")", R"("-a")", R"("a\u0000")"}) {
    EXPECT_THAT(error_of(json_where("partner_code", code)), StartsWith("partner_code: ")) << code;
  }
  EXPECT_THAT(error_of(json_where("partner_code", '"' + std::string(51, 'a') + '"')),
              HasSubstr("give at most 50"));
  EXPECT_EQ(error_of(json_where("partner_code", '"' + std::string(50, 'a') + '"')), "no error");
  EXPECT_EQ(error_of(json_where("partner_code", R"("a-b_9")")), "no error");
}

TEST(PartnerJson, PathsOfWrongSyntaxAreRefused) {
  for (const char* path :
       {"", "/", "x", "x/y", "/x/", "//x", "/x//y", "/.", "/x/..", "/x/../y", "/x y", "/x?y",
        "/x#y", "/x%20y", "/é", "/stats", "/x/stats", "/x/conversions", "/x\\\\y"}) {
    EXPECT_THAT(error_of(json_where("endpoint_path", '"' + std::string(path) + '"')),
                StartsWith("endpoint_path: "))
        << path;
  }
  for (const char* path : {"/a", "/a/b/c/d", "/A.b_c~d-e/9", "/stats/x", "/...", "/statsx"}) {
    EXPECT_EQ(error_of(json_where("endpoint_path", '"' + std::string(path) + '"')), "no error")
        << path;
  }
  EXPECT_THAT(error_of(json_where("endpoint_path", "\"/" + std::string(100, 'x') + '"')),
              HasSubstr("give at most 100"));
}

TEST(PartnerJson, MappingIsAnObjectOfTextsWithEachLeftNameOnce) {
  const auto mapping_error = [](const std::string& mapping) {
    return error_of(json_where("parameter_mapping", mapping));
  };
  EXPECT_THAT(mapping_error(R"({"a":1})"),
              StartsWith("parameter_mapping: the value of 'a' is not"));
  EXPECT_THAT(mapping_error(R"({"a":"b","a":"c"})"), HasSubstr("'a' stands twice"));
  EXPECT_THAT(mapping_error(R"({"":"b"})"), HasSubstr("is not a parameter name"));
  EXPECT_THAT(mapping_error(R"({"a":""})"), HasSubstr("is not a parameter name"));
  EXPECT_THAT(mapping_error(R"({"a":"\n"})"), HasSubstr("'\\n' is not a parameter name"));
  EXPECT_EQ(mapping_error(R"({"a":"x","b":"x"})"), "no error") << "two columns from one value";
  EXPECT_EQ(mapping_error("{}"), "no error");
  std::string many = "{";
  for (int i = 0; i < 65; ++i) many += (i > 0 ? ",\"n" : "\"n") + std::to_string(i) + "\":\"x\"";
  EXPECT_THAT(mapping_from_json(many + "}").status().message(), StartsWith("more than 64 names"));
}

TEST(PartnerJson, UnknownTimezoneIsRefused) {
  EXPECT_THAT(error_of(json_with(R"("timezone":"Mars/Olympus")")),
              StartsWith("timezone: The timezone \"Mars/Olympus\" is not known"));
  EXPECT_EQ(error_of(json_with(R"("timezone":"Asia/Taipei")")), "no error");
  EXPECT_EQ(error_of(json_with(R"("timezone":"+08:00")")), "no error");
}

TEST(PartnerJson, DatabaseNameIsSafeAndNeededUnlessAUrlIsGiven) {
  for (const char* name : {"a b", "a/b", "../x", "1a", "a;b", "a\\\"b", "é"}) {
    EXPECT_THAT(error_of(json_where("database_name", '"' + std::string(name) + '"')),
                StartsWith("database_name: "))
        << name;
  }
  EXPECT_THAT(error_of(json_where("database_name", '"' + std::string(64, 'a') + '"')),
              StartsWith("database_name: "));
  EXPECT_THAT(error_of(json_where("database_name", R"("")")),
              StartsWith("database_name: is missing; give it, or give database_url"));
  EXPECT_EQ(error_of(json_where("database_name", R"("","database_url":"sqlite:x.db")")),
            "no error");
}

TEST(PartnerJson, WrongDatabaseUrlIsRefusedWithoutItsSecrets) {
  for (const char* url : {"mysql://u:s3cret@h/db", "s3cret", "postgresql://u:s3cret/x@h/db"}) {
    const std::string error = error_of(json_with("\"database_url\":\"" + std::string(url) + '"'));
    EXPECT_THAT(error, StartsWith("database_url: ")) << url;
    EXPECT_THAT(error, Not(HasSubstr("s3cret")));
  }
}

TEST(PartnerJson, OtherTextsAreChecked) {
  EXPECT_THAT(error_of(json_where("partner_name", R"("")")), StartsWith("partner_name: "));
  EXPECT_THAT(error_of(json_where("partner_name", R"("a\u001bb")")),
              StartsWith("partner_name: has a control character"));
  EXPECT_EQ(error_of(json_with(R"("on_invalid":"ignore")")),
            "on_invalid: 'ignore' is not known; give refuse or accept");
  EXPECT_THAT(error_of(json_with(R"("endpoint_url":"javascript:x")")),
              StartsWith("endpoint_url: "));
  // Characters, not bytes: 100 Chinese ones are 300 bytes.
  std::string name;
  for (int i = 0; i < 100; ++i) name += "中";
  EXPECT_EQ(error_of(json_where("partner_name", '"' + name + '"')), "no error");
}

TEST(PartnerFields, TakeTextAsARowOrACommandGivesIt) {
  Partner partner = shipped_partners()[1];
  const auto set = [&partner](const char* name, const std::optional<std::string>& text) {
    return assign_field_text(*find_field(name), text, &partner).message();
  };
  EXPECT_EQ(set("is_active", "f"), "");
  EXPECT_FALSE(partner.is_active);
  EXPECT_EQ(set("is_active", "1"), "");
  EXPECT_TRUE(partner.is_active);
  EXPECT_EQ(set("is_active", "yes"), "is_active: 'yes' is not right; give true or false");
  EXPECT_EQ(set("lanes", "8"), "");
  EXPECT_EQ(partner.lanes, 8);
  EXPECT_EQ(set("lanes", std::nullopt), "");
  EXPECT_EQ(partner.lanes, 8);
  EXPECT_EQ(set("lanes", "8x"), "lanes: '8x' is not right; give a whole number");
  EXPECT_EQ(set("parameter_mapping", R"({"a":"b"})"), "");
  EXPECT_EQ(partner.parameter_mapping.size(), 1u);
  EXPECT_THAT(set("parameter_mapping", "{"), StartsWith("parameter_mapping: not JSON"));
  EXPECT_THAT(set("partner_name", "\xFF"), StartsWith("partner_name: not UTF-8"));
}

}  // namespace
}  // namespace postback::partner
