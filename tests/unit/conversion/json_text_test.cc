#include "conversion/json_text.h"

#include <gtest/gtest.h>

#include <string>

namespace postback::conversion {
namespace {

TEST(JsonText, KnowsEveryScalarOfTheStandard) {
  for (const char* text :
       {"0", "-0", "1", "10", "-1.5", "0.001", "1e9", "1E-9", "1.5e+10", "true", "false", "null"}) {
    EXPECT_TRUE(is_json_scalar(text)) << text;
  }
  for (const char* text : {"", "-", "+1", "01", "-01", "1.", ".5", "1e", "1e+", "1.e1", "0x10",
                           "1 ", " 1", "NaN", "Infinity", "True", "nulll", "\"a\"", "1,5"}) {
    EXPECT_FALSE(is_json_scalar(text)) << text;
  }
}

TEST(JsonText, FindsLoneSurrogates) {
  EXPECT_FALSE(has_lone_surrogate(R"("\ud83c\udf89")"));
  EXPECT_FALSE(has_lone_surrogate(R"("\uD83C\uDF89\ud83c\udf89")"));
  EXPECT_FALSE(has_lone_surrogate(R"("\\ud83c")"));
  EXPECT_TRUE(has_lone_surrogate(R"("\\\ud83c")"));
  EXPECT_TRUE(has_lone_surrogate(R"("\udf89\ud83c")"));
  EXPECT_TRUE(has_lone_surrogate(R"("\ud83c\ud83c\udf89")"));
  EXPECT_TRUE(has_lone_surrogate(R"(\ud83c)"));
  EXPECT_FALSE(has_lone_surrogate("\\"));
  EXPECT_FALSE(has_lone_surrogate("\\u"));
  EXPECT_FALSE(has_lone_surrogate("\\ud83"));
}

TEST(JsonText, ReplacesEscapedNulAndNothingElse) {
  std::string out = "x";
  EXPECT_TRUE(append_json_without_nul(&out, R"(["\u0000a\\u0000\u0000"])"));
  EXPECT_EQ(out, R"(x["\ufffda\\u0000\ufffd"])");
  out.clear();
  EXPECT_FALSE(append_json_without_nul(&out, R"(["\\u0000","\u0001"])"));
  EXPECT_EQ(out, R"(["\\u0000","\u0001"])");
}

}  // namespace
}  // namespace postback::conversion
