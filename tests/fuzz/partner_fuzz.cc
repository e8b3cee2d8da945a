// Fuzz target of what describes a partner: the JSON that `postbackctl partner add` reads (an even
// first byte), and a row of table `partners` that somebody may have changed with SQL (an odd one:
// the columns in their order with kPartEnd between them; one that is the single byte 0 is NULL).
#include <simdjson.h>

#include "conversion/mapping.h"
#include "input.h"
#include "partner/partner_fields.h"
#include "partner/partner_json.h"
#include "partner/partner_rows.h"

namespace {

using postback::Partner;
using postback::partner::FieldKind;
using postback::partner::PartnerField;

const postback::partner::DatabaseHome& home() {
  static const postback::partner::DatabaseHome home{"sqlite:/fuzz/control.db", "/fuzz/data"};
  return home;
}

void check_bounds(const Partner& partner) {
  for (const PartnerField& field : postback::partner::partner_fields()) {
    if (field.kind != FieldKind::integer || field.by_database) continue;
    const int64_t value = std::get<int64_t>(field.get(partner));
    CHECK(value >= field.low && value <= field.high);
  }
  CHECK(partner.endpoint_path.starts_with('/') && partner.endpoint_path.size() <= 100);
  CHECK(partner.partner_code.size() <= 50);
  CHECK(partner.parameter_mapping.size() <= 64);
  CHECK(postback::conversion::Mapping::compile(partner).ok());
}

// What was accepted is read as the same again, from the JSON that is printed of it.
void check_json(Partner partner) {
  std::string json;
  postback::partner::append_partner_json(&json, partner, true);
  simdjson::dom::parser parser;
  CHECK(!parser.parse(simdjson::padded_string(json)).error());
  if (json.size() > postback::partner::kPartnerJsonBytesMax) return;
  auto again = postback::partner::partner_from_json(json);
  CHECK(again.ok());
  // The database gives these.
  partner.id = 0;
  partner.created_at_us = partner.updated_at_us = 0;
  partner.effective_database_url.clear();
  CHECK(again.value() == partner);
}

// Likewise from its row.
void check_row(Partner partner) {
  if (partner.id < 1) partner.id = 1;
  auto again =
      postback::partner::partner_from_row(postback::partner::partner_to_row(partner), home());
  // Only where its rows go may be wrong: into the control database's own file.
  if (!again.ok()) {
    CHECK(again.status().message().starts_with("database_"));
    return;
  }
  CHECK(!again.value().effective_database_url.empty());
  partner.effective_database_url = again.value().effective_database_url;
  CHECK(again.value() == partner);
}

postback::base::Result<Partner> read(bool is_row, std::string_view text) {
  if (!is_row) return postback::partner::partner_from_json(text);
  postback::partner::SqlRow row(postback::partner::partner_fields().size());
  for (postback::partner::SqlText& column : row) {
    const std::string_view part = postback::fuzz::take_part(&text);
    if (part != std::string_view("\0", 1)) column = std::string(part);
  }
  return postback::partner::partner_from_row(row, home());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  auto partner = read((data[0] & 1) != 0, postback::fuzz::text_of(data + 1, size - 1));
  if (!partner.ok()) {
    postback::fuzz::check_message(partner.status().message());
    return 0;
  }
  check_bounds(partner.value());
  check_json(partner.value());
  check_row(partner.value());
  return 0;
}
