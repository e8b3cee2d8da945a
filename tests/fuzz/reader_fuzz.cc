// Fuzz target of conversion/reader: whatever comes, the row can be stored. The first byte chooses
// method, media type (which may be the header value) and partner; the rest is the query up to the
// first line feed, then a header value up to the next, then the body. (What the columns hold is the
// target `mapping`'s to check.)
#include <simdjson.h>

#include <algorithm>
#include <string>
#include <vector>

#include "../unit/conversion/described.h"
#include "base/check.h"
#include "base/utf8.h"
#include "conversion/reader.h"

namespace {

using postback::Conversion;
using postback::Field;
using postback::Reason;
using postback::conversion::Mapping;

std::shared_ptr<const Mapping> mapping(int which) {
  postback::Partner partner;
  if (which == 0) {
    partner.parameter_mapping = {{"sub_id", "aff_sub"},
                                 {"media_id", "aff_sub2"},
                                 {"click_id", "aff_sub3"},
                                 {"conversion_datetime", "datetime_conversion"}};
    partner.timezone = "America/New_York";
  } else {
    // Crossed on purpose.
    partner.parameter_mapping = {
        {"conversion_id", "b"}, {"b", "a"}, {"a", "offer_id"}, {"offer_id", "conversion_id"}};
  }
  return Mapping::compile(partner).take();
}

// Valid JSON without repeated names, in UTF-8 without NUL.
void check_object(std::string_view json) {
  static simdjson::dom::parser parser;
  CHECK(postback::base::is_valid_utf8(json));
  CHECK(json.find('\0') == std::string_view::npos);
  simdjson::dom::object object;
  const auto error = parser.parse(simdjson::padded_string(json)).get(object);
  // The DOM parser refuses integers beyond 64 bits, which are JSON all the same.
  CHECK(!error || error == simdjson::NUMBER_ERROR);
  if (error) return;
  std::vector<std::string_view> names;
  for (const auto& member : object) names.push_back(member.key);
  std::sort(names.begin(), names.end());
  CHECK(std::adjacent_find(names.begin(), names.end()) == names.end());
}

void check_conversion(const Conversion& out) {
  check_object(out.text(Field::raw_data));
  check_object(out.text(Field::request_headers));
  for (size_t i = 0; i < static_cast<size_t>(Field::method); ++i) {
    const std::string_view text = out.text(static_cast<Field>(i));
    CHECK(postback::base::is_valid_utf8(text));
    CHECK(text.find('\0') == std::string_view::npos);
  }
  const std::string_view id = out.text(Field::conversion_id);
  CHECK(id.size() <= 255);
  for (const char c : id) CHECK(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
  CHECK((out.reason == Reason::none) == !out.has(Field::fault_message));
  CHECK(out.reason != Reason::none || !id.empty());
  CHECK(postback::base::utf8_character_count(out.text(Field::offer_id)) <= 50);
  for (const Field field : {Field::media_id, Field::sub_id, Field::click_id}) {
    CHECK(postback::base::utf8_character_count(out.text(field)) <= 255);
  }
}

std::string_view take_line(std::string_view* rest) {
  const size_t end = rest->find('\n');
  const std::string_view line = rest->substr(0, end);
  rest->remove_prefix(end == std::string_view::npos ? rest->size() : end + 1);
  return line;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::shared_ptr<const Mapping> mappings[] = {mapping(0), mapping(1)};
  static postback::conversion::Reader reader;
  static Conversion out;
  if (size == 0) return 0;
  constexpr std::string_view kTypes[] = {"", "application/json",
                                         "application/x-www-form-urlencoded", "text/xml"};
  std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  postback::conversion::RawPostback raw;
  raw.method = (data[0] & 1) != 0 ? "POST" : "GET";
  raw.query = take_line(&rest);
  raw.target = "/partner/x";
  const std::string_view header = take_line(&rest);
  raw.content_type = (data[0] & 16) != 0 ? header : kTypes[data[0] / 2 % 4];
  const postback::Header headers[] = {{"Host", "x"}, {"X-A", header}, {"x-a", header}};
  raw.headers = headers;
  raw.body = rest;
  const Reason reason = reader.read(*mappings[data[0] / 8 % 2], raw, &out);
  CHECK(reason == out.reason);
  check_conversion(out);
  // A second time, the layout of the query may be known; and one from before may have been.
  const std::string first = postback::conversion::described(out);
  reader.read(*mappings[data[0] / 8 % 2], raw, &out);
  CHECK(postback::conversion::described(out) == first);
  postback::conversion::Reader fresh;
  fresh.read(*mappings[data[0] / 8 % 2], raw, &out);
  CHECK(postback::conversion::described(out) == first);
  return 0;
}
