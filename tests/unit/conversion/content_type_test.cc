#include "conversion/content_type.h"

#include <gtest/gtest.h>

namespace postback::conversion {
namespace {

TEST(ContentType, KnowsForms) {
  EXPECT_EQ(body_kind("application/x-www-form-urlencoded"), BodyKind::form);
  EXPECT_EQ(body_kind("Application/X-WWW-Form-URLEncoded ; Charset=UTF-8"), BodyKind::form);
}

TEST(ContentType, KnowsEveryKindOfJson) {
  for (const char* type :
       {"application/json", "text/json", "application/vnd.api+json", "APPLICATION/JSON",
        "application/json;charset=utf-8", "application/json; charset=\"utf-8\"",
        "application/json; charset=us-ascii", "application/json; charset=utf8", "application/json;",
        "application/json; version=1; charset=UTF-8"}) {
    EXPECT_EQ(body_kind(type), BodyKind::json) << type;
  }
}

TEST(ContentType, TakesAnAbsentOneForNone) {
  EXPECT_EQ(body_kind(""), BodyKind::none);
  EXPECT_EQ(body_kind(" \t"), BodyKind::none);
}

TEST(ContentType, RefusesEverythingElse) {
  for (const char* type :
       {"multipart/form-data; boundary=x", "text/xml", "text/plain", "application/jsonp",
        "application/+json", "json", "application/json, text/xml", "application/octet-stream", ";",
        "text/plain, x/y+json", "application/a b+json", "application/json; charset=utf-16",
        "application/json; charset=", "application/json; charset",
        "application/json; charset=utf-8; charset=latin1", "image/svg+json"}) {
    EXPECT_EQ(body_kind(type), BodyKind::unsupported) << type;
  }
}

TEST(ContentType, ReadsQuotedStringsOfParameters) {
  for (const char* type :
       {R"(application/json; x="a;charset=latin1"; charset=utf-8)",
        R"(application/json; x="a\";charset=latin1;\"")", R"(application/json;charset="UTF\-8")",
        R"(application/json; charset="utf-8" ; x="")", R"(application/json;charset="utf-8";)",
        R"(application/json; profile="a=b;c=d,e")"}) {
    EXPECT_EQ(body_kind(type), BodyKind::json) << type;
  }
  for (const char* type :
       {R"(application/json; x="a;charset=utf-8"; charset=latin1)", R"(application/json; x="a)",
        R"(application/json; x="a\")", R"(application/json; charset="utf-8"x)",
        R"(application/json; charset="utf-8)", R"(application/json; charset="")",
        R"(application/json; charset="utf-8 ")", R"(application/json; charset=utf\-8x)",
        R"(application/json; x="a" charset=utf-8)"}) {
    EXPECT_EQ(body_kind(type), BodyKind::unsupported) << type;
  }
}

}  // namespace
}  // namespace postback::conversion
