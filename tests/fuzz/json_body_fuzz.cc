// Fuzz target of conversion/json_body: accepts what simdjson's DOM parser accepts, apart from what
// is documented, and reads the same names and values.
#include <algorithm>
#include <cstdint>

#include "base/check.h"
#include "base/utf8.h"
#include "conversion/json_body.h"
#include "conversion/json_text.h"

namespace {

using postback::Reason;

int depth(const simdjson::dom::element& element) {
  int deepest = 0;
  simdjson::dom::array array;
  simdjson::dom::object object;
  if (!element.get(array)) {
    for (const auto& child : array) deepest = std::max(deepest, depth(child));
    return deepest + 1;
  }
  if (!element.get(object)) {
    for (const auto& member : object) deepest = std::max(deepest, depth(member.value));
    return deepest + 1;
  }
  return 0;
}

// What was accepted is what the DOM parser reads, member by member.
void check_members(const simdjson::dom::element& root,
                   const postback::conversion::ParameterList& list) {
  simdjson::dom::object object;
  CHECK(!root.get(object));
  const auto& parameters = list.parameters();
  CHECK(object.size() == parameters.size());
  size_t index = 0;
  for (const auto& member : object) {
    const postback::Parameter& parameter = parameters[index++];
    CHECK(parameter.name == member.key);
    std::string_view text;
    CHECK(parameter.is_json == (member.value.get(text) != simdjson::SUCCESS));
    if (!parameter.is_json) {
      CHECK(parameter.value == text);
      continue;
    }
    simdjson::dom::parser parser;
    simdjson::dom::element value;
    CHECK(!parser.parse(simdjson::padded_string(parameter.value)).get(value));
    CHECK(simdjson::minify(value) == simdjson::minify(member.value));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static postback::conversion::JsonBody body;
  static postback::conversion::ParameterList list;
  static simdjson::dom::parser parser;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  list.clear();
  body.parse(text, &list);
  const Reason reason = list.fault().reason;
  for (const postback::Parameter& parameter : list.parameters()) {
    CHECK(postback::base::is_valid_utf8(parameter.name));
    CHECK(postback::base::is_valid_utf8(parameter.value));
    if (!parameter.is_json) continue;
    const auto error = parser.parse(simdjson::padded_string(parameter.value)).error();
    CHECK(!error || error == simdjson::NUMBER_ERROR);
  }
  // Once a bound is passed the rest is not read.
  if (reason == Reason::too_many_parameters || text.starts_with("\xEF\xBB\xBF")) return 0;
  simdjson::dom::element root;
  const auto error = parser.parse(simdjson::padded_string(text)).get(root);
  if (error == simdjson::NUMBER_ERROR) return 0;  // Refuses large numbers too.
  const bool refused = reason == Reason::invalid_json;
  if (error) {
    // The first fault is reported, so a bound may hide the syntax error behind it.
    CHECK(refused || reason == Reason::duplicate_key || reason == Reason::parameter_too_long);
  } else if (refused) {
    CHECK(depth(root) > postback::conversion::kJsonDepthMax ||
          postback::conversion::has_lone_surrogate(text));
  } else {
    CHECK(root.is_object() == (reason != Reason::json_not_object));
    if (reason == Reason::none) check_members(root, list);
  }
  return 0;
}
