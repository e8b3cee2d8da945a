#include "conversion/macro.h"

#include <gtest/gtest.h>

#include <string>

namespace postback::conversion {
namespace {

TEST(Macro, KnowsTheFormsThatNetworksUse) {
  for (const char* text :
       {"{conversion_id}", "{{x}}", "{{ conversion.id }}", "[aff_sub]", "!!!clickRef!!!", "${x}",
        "#x#", "%7Bx%7D", "%7bx%7d", "%7B%7Bx%7D%7D", " {x} ", "{sub-id 1}"}) {
    EXPECT_TRUE(is_unexpanded_macro(text)) << text;
  }
}

TEST(Macro, KnowsTheNameOfItsOwnParameter) {
  EXPECT_TRUE(is_own_name("conversion_id", "conversion_id"));
  EXPECT_TRUE(is_own_name(" Order_No", "order_no"));
  EXPECT_FALSE(is_own_name("conversion_id1", "conversion_id"));
  EXPECT_FALSE(is_own_name("", ""));
  EXPECT_FALSE(is_own_name("12", "12")) << "may be a real id";
}

TEST(Macro, LeavesOtherTextAlone) {
  for (const char* text : {"",
                           " ",
                           "x",
                           "{",
                           "{}",
                           "{{}}",
                           "[]",
                           "!!!",
                           "!!!!!!",
                           "${}",
                           "##",
                           "#",
                           "%7B%7D",
                           "{x",
                           "x}",
                           "a{x}",
                           "{x}b",
                           "{x}{y}",
                           "!x!",
                           "$x",
                           "<x>",
                           "<script>",
                           "${jndi:ldap://e/a}",
                           "{\"a\":1}",
                           "[1,2]",
                           "[123]",
                           "{12}",
                           "$(x)",
                           "{é}",
                           "{6f9619ff-8b86-d011-b42d-00cf4fc964ff}",
                           "{6F9619FF-8B86-D011-B42D-00CF4FC964FF}"}) {
    EXPECT_FALSE(is_unexpanded_macro(text)) << text;
  }
  EXPECT_TRUE(is_unexpanded_macro("{" + std::string(64, 'x') + "}"));
  EXPECT_FALSE(is_unexpanded_macro("{" + std::string(65, 'x') + "}"));
}

TEST(Macro, KnowsTheWordsForNothingInAnyCase) {
  EXPECT_TRUE(is_null_word("null"));
  EXPECT_TRUE(is_null_word("NULL"));
  EXPECT_TRUE(is_null_word("Undefined"));
  EXPECT_FALSE(is_null_word("nullable"));
  EXPECT_FALSE(is_null_word(""));
}

}  // namespace
}  // namespace postback::conversion
