// Fuzz target of what describes a partner. The first byte says what the rest is, modulo 4:
//   0  the JSON that `postbackctl partner add` reads
//   1  a row of table `partners` that somebody may have changed with SQL: the columns in their
//      order with kPartEnd between them; one that is the single byte 0 is NULL
//   2  the cache of the last run's partners (partner/cache_text), behind the lines and in front of
//      the checksum that it needs: no mutation finds a checksum by itself
//   3  the whole file of such a cache
#include <simdjson.h>

#include <cstdio>

#include "base/crc32c.h"
#include "conversion/mapping.h"
#include "input.h"
#include "partner/cache_text.h"
#include "partner/partner_fields.h"
#include "partner/partner_json.h"
#include "partner/partner_rows.h"

namespace {

using postback::Partner;
using postback::partner::FieldKind;
using postback::partner::PartnerEntry;
using postback::partner::PartnerField;
using postback::partner::PartnerTable;

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

std::string framed(std::string_view rows) {
  std::string text =
      "postback partners 1\ncontrol " + home().control_url + "\n" + std::string(rows);
  if (!text.ends_with('\n')) text += '\n';
  char checksum[32];
  std::snprintf(checksum, sizeof checksum, "crc32c %08x\n", postback::base::crc32c(text));
  return text + checksum;
}

PartnerTable table_of(const std::vector<postback::Partner>& partners) {
  std::vector<std::shared_ptr<const PartnerEntry>> entries;
  for (const postback::Partner& partner : partners) {
    auto entry = std::make_shared<PartnerEntry>();
    entry->partner = partner;
    entries.push_back(entry);
  }
  return PartnerTable(std::move(entries), 1);
}

// What was read is written, and read as the same again.
void check_cache(const std::string& text) {
  auto read = postback::partner::partners_from_text(text, home().control_url, home());
  if (!read.ok()) {
    postback::fuzz::check_message(read.status().message());
    return;
  }
  for (const postback::partner::BadPartner& bad : read.value().bad) {
    postback::fuzz::check_message(bad.error);
  }
  // The table checks that paths are unique.
  const std::vector<postback::Partner>& partners = read.value().partners;
  const std::string again =
      postback::partner::partners_to_text(home().control_url, table_of(partners));
  auto second = postback::partner::partners_from_text(again, home().control_url, home());
  CHECK(second.ok() && second.value().bad.empty() && second.value().partners == partners);
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
  const std::string_view rest = postback::fuzz::text_of(data + 1, size - 1);
  if (data[0] % 4 >= 2) {
    check_cache(data[0] % 4 == 2 ? framed(rest) : std::string(rest));
    return 0;
  }
  auto partner = read(data[0] % 4 == 1, rest);
  if (!partner.ok()) {
    postback::fuzz::check_message(partner.status().message());
    return 0;
  }
  check_bounds(partner.value());
  check_json(partner.value());
  check_row(partner.value());
  return 0;
}
