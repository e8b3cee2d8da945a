#include "conversion/urlencoded.h"

#include <gtest/gtest.h>

#include <string>

namespace postback::conversion {
namespace {

// "name=value|name=value" with the names and values decoded.
std::string parsed(std::string_view text) {
  UrlDecoder decoder;
  ParameterList list;
  decoder.parse(text, Parameter::Source::query, &list);
  std::string out;
  for (const Parameter& parameter : list.parameters()) {
    if (!out.empty()) out += '|';
    out.append(parameter.name).append("=").append(parameter.value);
    EXPECT_FALSE(parameter.is_json);
    EXPECT_EQ(parameter.source, Parameter::Source::query);
  }
  return out;
}

TEST(Urlencoded, SplitsAtAmpersandsAndTheFirstEqualsSign) {
  EXPECT_EQ(parsed("a=1&b=2"), "a=1|b=2");
  EXPECT_EQ(parsed("a==b"), "a==b");
  EXPECT_EQ(parsed("=b"), "=b");
  EXPECT_EQ(parsed("a"), "a=");
  EXPECT_EQ(parsed("&&a=1&&"), "a=1");
  EXPECT_EQ(parsed(""), "");
  EXPECT_EQ(parsed("a=1;b=2"), "a=1;b=2");
}

TEST(Urlencoded, DecodesNamesAndValues) {
  EXPECT_EQ(parsed("a%20b=c+d"), "a b=c d");
  EXPECT_EQ(parsed("%61=%e8%bd%89%E6%8f%9B"), "a=轉換");
  EXPECT_EQ(parsed("a=%26%3D%2B%25"), "a=&=+%");
  EXPECT_EQ(parsed("a=%00"), std::string("a=\0", 3));
  EXPECT_EQ(parsed("a=%ff"), "a=\xff");
}

TEST(Urlencoded, DecodesOnlyOnce) {
  EXPECT_EQ(parsed("a=%2541"), "a=%41");
}

TEST(Urlencoded, KeepsAPercentSignWithoutTwoDigits) {
  EXPECT_EQ(parsed("a=%"), "a=%");
  EXPECT_EQ(parsed("a=%4"), "a=%4");
  EXPECT_EQ(parsed("a=%zz"), "a=%zz");
  EXPECT_EQ(parsed("a=%4z%41"), "a=%4zA");
  EXPECT_EQ(parsed("a=%%41"), "a=%A");
  EXPECT_EQ(parsed("a=100%&b=1"), "a=100%|b=1");
}

TEST(Urlencoded, StopsWithAFaultBehindSixtyFourParameters) {
  UrlDecoder decoder;
  ParameterList list;
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "a=1&";
  decoder.parse(text, Parameter::Source::body, &list);
  EXPECT_EQ(list.parameters().size(), kParametersMax);
  EXPECT_EQ(list.fault().reason, Reason::too_many_parameters);
}

// The text is read in windows of sixteen bytes: every mark comes to lie at every place of one.
TEST(Urlencoded, SplitsAndDecodesAtEveryPlace) {
  for (size_t size = 0; size < 40; ++size) {
    const std::string name(size, 'n');
    for (size_t value_size : {0, 1, 15, 16, 17}) {
      const std::string value(value_size, 'v');
      EXPECT_EQ(parsed(name + "x=" + value + "&b=2"), name + "x=" + value + "|b=2");
      EXPECT_EQ(parsed("&" + name + "x=" + value + "=&"), name + "x=" + value + "=");
      EXPECT_EQ(parsed(name + "%41=" + value + "&c=+&d=3"), name + "A=" + value + "|c= |d=3");
      EXPECT_EQ(parsed(name + "x=" + value + "%4"), name + "x=" + value + "%4");
    }
  }
}

TEST(Urlencoded, TellsWhereNothingNeedsRepair) {
  for (size_t size = 0; size < 40; ++size) {
    const std::string before = std::string(size, 'n') + "=1&";
    UrlDecoder decoder;
    for (const char* dirty : {"a=\xff", "a=%41", "\x80=1", "a=b+c"}) {
      ParameterList list;
      decoder.parse(before + dirty + "&z=1", Parameter::Source::query, &list);
      ASSERT_EQ(list.parameters().size(), 3u);
      EXPECT_TRUE(list.parameters()[0].is_ascii);
      EXPECT_FALSE(list.parameters()[1].is_ascii) << before << dirty;
      EXPECT_TRUE(list.parameters()[2].is_ascii);
    }
  }
}

TEST(Urlencoded, MeasuresTheLengthAfterDecoding) {
  UrlDecoder decoder;
  ParameterList list;
  std::string text = "a=";
  for (size_t i = 0; i < kParameterBytesMax; ++i) text += "%41";
  decoder.parse(text, Parameter::Source::body, &list);
  EXPECT_FALSE(list.fault().found());
  list.clear();
  decoder.parse(text + "B", Parameter::Source::body, &list);
  EXPECT_EQ(list.fault().reason, Reason::parameter_too_long);
  EXPECT_EQ(list.fault().field, "a");
}

TEST(Urlencoded, UsesItsMemoryAgain) {
  UrlDecoder decoder;
  ParameterList list;
  decoder.parse("a=%41%42%43", Parameter::Source::query, &list);
  list.clear();
  decoder.parse("b=+", Parameter::Source::query, &list);
  ASSERT_EQ(list.parameters().size(), 1u);
  EXPECT_EQ(list.parameters()[0].value, " ");
}

}  // namespace
}  // namespace postback::conversion
