// Fuzz target of the mapping (partner/partner_json, conversion/mapping, parameter_table, raw_data,
// columns): agrees with a slow and obvious reading of the rules. The input: a parameter_mapping as
// JSON, then the query of a postback, with kPartEnd between them.
#include <simdjson.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "base/utf8.h"
#include "conversion/ascii.h"
#include "conversion/macro.h"
#include "conversion/parameter_list.h"
#include "conversion/reader.h"
#include "conversion/urlencoded.h"
#include "input.h"
#include "partner/partner_json.h"

namespace {

using postback::Conversion;
using postback::Field;
using postback::MappingEntry;

// A left name, the right one that belongs to it, and the value that counts.
struct Applied {
  std::string name;
  std::string partner_name;
  std::string value;
  bool mapped;  // By the partner, not only because it is a column.
};

constexpr std::string_view kColumns[] = {
    "conversion_id",   "offer_id",    "offer_name", "conversion_datetime",
    "usd_sale_amount", "usd_earning", "usd_payout", "media_id",
    "sub_id",          "click_id"};

class Model {
 public:
  Model(const std::vector<MappingEntry>& mapping, std::string_view query) {
    read(query);
    std::map<std::string, std::pair<std::string, bool>> pairs;
    for (const std::string_view column : kColumns) {
      pairs[std::string(column)] = {std::string(column), false};
    }
    for (const MappingEntry& entry : mapping) pairs[entry.name] = {entry.partner_name, true};
    for (const auto& [name, right] : pairs) {
      const auto& [partner_name, mapped] = right;
      const std::string& source = values_.count(name) != 0 ? name : partner_name;
      const auto found = values_.find(source);
      if (found == values_.end()) continue;
      applied_.push_back({name, partner_name, found->second.front(), mapped});
    }
  }

  const std::map<std::string, std::vector<std::string>>& values() const { return values_; }
  const std::vector<Applied>& applied() const { return applied_; }
  std::optional<std::string> value(std::string_view name) const {
    for (const Applied& each : applied_) {
      if (each.name == name) return each.value;
    }
    return std::nullopt;
  }

 private:
  // Every name with its different values, in their order.
  void read(std::string_view query) {
    postback::conversion::UrlDecoder decoder;
    postback::conversion::ParameterList list;
    decoder.parse(query, postback::Parameter::Source::query, &list);
    for (const postback::Parameter& parameter : list.parameters()) {
      std::string name;
      std::string value;
      postback::base::append_repaired_utf8(&name, parameter.name);
      postback::base::append_repaired_utf8(&value, parameter.value);
      std::vector<std::string>& values = values_[name];
      if (std::find(values.begin(), values.end(), value) == values.end()) values.push_back(value);
    }
  }

  std::map<std::string, std::vector<std::string>> values_;
  std::vector<Applied> applied_;
};

void check_steps(const postback::conversion::Reader& reader, const Model& model) {
  std::multiset<std::string> steps;
  std::multiset<std::string> expected;
  for (const auto& step : reader.steps()) {
    steps.insert(std::string(step.name) + '\n' + std::string(step.partner_name) + '\n' +
                 std::string(step.value));
  }
  for (const Applied& each : model.applied()) {
    if (each.mapped) expected.insert(each.name + '\n' + each.partner_name + '\n' + each.value);
  }
  CHECK(steps == expected);
}

std::vector<std::string> texts_of(const simdjson::dom::element& element) {
  std::string_view text;
  if (!element.get(text)) return {std::string(text)};
  std::vector<std::string> texts;
  simdjson::dom::array array;
  CHECK(!element.get(array));
  for (const auto& each : array) {
    CHECK(!each.get(text));
    texts.emplace_back(text);
  }
  return texts;
}

// Everything that came, and under both names of a mapping what it gave; nothing else.
void check_raw_data(std::string_view raw_data, const Model& model) {
  static simdjson::dom::parser parser;
  simdjson::dom::object object;
  CHECK(!parser.parse(simdjson::padded_string(raw_data)).get(object));
  std::map<std::string, std::set<std::string>> added;
  for (const Applied& each : model.applied()) {
    if (each.name == each.partner_name) continue;
    for (const std::string& name : {each.name, each.partner_name}) {
      if (model.values().count(name) == 0) added[name].insert(each.value);
    }
  }
  size_t count = 0;
  for (const auto& member : object) {
    ++count;
    const std::string name(member.key);
    const std::vector<std::string> texts = texts_of(member.value);
    const auto came = model.values().find(name);
    if (came != model.values().end()) {
      CHECK(texts == came->second);
    } else {
      CHECK(texts.size() == 1 && added.count(name) != 0 && added[name].count(texts[0]) != 0);
    }
  }
  CHECK(count == model.values().size() + added.size());
}

// An amount in its column is the amount that came, to the last digit.
void check_amount(const std::optional<postback::Decimal>& amount,
                  const std::optional<std::string>& text) {
  if (!text || postback::conversion::is_unexpanded_macro(*text)) {
    CHECK(!amount);
    return;
  }
  postback::Decimal expected;
  CHECK(postback::Decimal::parse(postback::conversion::trimmed(*text), &expected));
  CHECK(amount && *amount == expected && amount->scale == expected.scale);
}

void check_columns(const Conversion& out, const Model& model) {
  if (out.reason != postback::Reason::none) return;
  CHECK(out.text(Field::conversion_id) == model.value("conversion_id"));
  check_amount(out.usd_sale_amount, model.value("usd_sale_amount"));
  const auto earning = model.value("usd_earning");
  const bool given = earning && !postback::conversion::is_unexpanded_macro(*earning);
  check_amount(out.usd_earning, given ? earning : model.value("usd_payout"));
  constexpr std::pair<Field, std::string_view> kTexts[] = {{Field::offer_id, "offer_id"},
                                                           {Field::offer_name, "offer_name"},
                                                           {Field::media_id, "media_id"},
                                                           {Field::sub_id, "sub_id"},
                                                           {Field::click_id, "click_id"}};
  for (const auto& [field, name] : kTexts) {
    const auto value = model.value(name);
    if (out.has(field)) {
      CHECK(out.text(field) == value);
    } else {
      // What is left out is told.
      CHECK(!value || out.has(Field::processing_error));
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static postback::conversion::Reader reader;
  static Conversion out;
  std::string_view rest = postback::fuzz::text_of(data, size);
  auto mapping = postback::partner::mapping_from_json(postback::fuzz::take_part(&rest));
  if (!mapping.ok()) {
    postback::fuzz::check_message(mapping.status().message());
    return 0;
  }
  postback::Partner partner;
  partner.parameter_mapping = mapping.take();
  std::string json;
  postback::partner::append_mapping_json(&json, partner.parameter_mapping);
  CHECK(postback::partner::mapping_from_json(json).take() == partner.parameter_mapping);

  const auto compiled = postback::conversion::Mapping::compile(partner).take();
  postback::conversion::RawPostback raw;
  raw.method = "GET";
  raw.target = "/partner/x";
  raw.query = rest;
  const Model model(partner.parameter_mapping, rest);
  // Twice: the second time the layout of the query may be known.
  for (int i = 0; i < 2; ++i) {
    reader.read(*compiled, raw, &out);
    check_steps(reader, model);
    check_raw_data(out.text(Field::raw_data), model);
    check_columns(out, model);
  }
  return 0;
}
