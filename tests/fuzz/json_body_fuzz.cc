// Fuzz target of conversion/json_body: accepts what simdjson's DOM parser accepts, apart from what
// is documented. Not part of the Meson build; with clang, from the root:
//   clang++-14 -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -Iinclude -Isrc
//     tests/fuzz/json_body_fuzz.cc src/conversion/{fault,json_body,json_text,parameter_list}.cc
//     src/base/utf8.cc -lsimdjson -o json_body_fuzz && ./json_body_fuzz tests/fuzz/corpus/json_body
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
  }
  return 0;
}
