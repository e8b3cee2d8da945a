#include "partner/cache_text.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <set>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/printable.h"
#include "base/uuid.h"
#include "partner/partner_fields.h"

namespace postback::partner {
namespace {

using base::Result;
using base::Status;

constexpr std::string_view kFirstLine = "postback partners 1";
constexpr std::string_view kControl = "control ";
constexpr std::string_view kChecksum = "crc32c ";
constexpr size_t kChecksumLineSize = kChecksum.size() + 8 + 1;

std::string checksum_line(std::string_view lines) {
  char text[kChecksumLineSize + 1];
  std::snprintf(text, sizeof text, "%s%08x\n", kChecksum.data(), base::crc32c(lines));
  return text;
}

// Columns behind those of partner_fields(): what a partner has from its control database.
constexpr std::string_view kIdentityColumns[] = {"registry_id", "owns_unmarked", "former_codes"};

std::vector<std::string> identity_fields(const Partner& partner) {
  std::string codes;  // Codes have no commas.
  for (const std::string& code : partner.former_codes) codes += (codes.empty() ? "" : ",") + code;
  return {partner.registry_id, partner.owns_unmarked ? "true" : "false", codes};
}

void append_line(std::string* out, const std::vector<std::string>& fields) {
  for (size_t i = 0; i < fields.size(); ++i) {
    // check_text() and the JSON of a mapping have seen to it.
    CHECK(fields[i].find_first_of("\t\n") == std::string::npos);
    if (i > 0) out->push_back('\t');
    out->append(fields[i]);
  }
  out->push_back('\n');
}

// Takes what stands before `end` off the front of *rest, and `end` with it.
std::string_view take(std::string_view* rest, char end) {
  const size_t size = std::min(rest->find(end), rest->size());
  const std::string_view taken = rest->substr(0, size);
  rest->remove_prefix(std::min(size + 1, rest->size()));
  return taken;
}

// For each column of the text the place in a row of partner_fields() and kIdentityColumns, or -1.
std::vector<int> column_places(std::string_view line) {
  std::vector<int> places;
  do {
    const std::string_view name = take(&line, '\t');
    const auto fields = partner_fields();
    const auto found = std::find_if(fields.begin(), fields.end(),
                                    [name](const PartnerField& f) { return name == f.name; });
    const auto behind = std::find(std::begin(kIdentityColumns), std::end(kIdentityColumns), name) -
                        std::begin(kIdentityColumns);
    if (found != fields.end()) {
      places.push_back(static_cast<int>(found - fields.begin()));
    } else if (behind < std::ssize(kIdentityColumns)) {
      places.push_back(static_cast<int>(std::ssize(fields) + behind));
    } else {
      places.push_back(-1);
    }
  } while (!line.empty());
  return places;
}

Result<SqlRow> row_from_line(std::string_view line, const std::vector<int>& places) {
  SqlRow row(partner_fields().size() + std::size(kIdentityColumns));
  const auto tabs = static_cast<size_t>(std::count(line.begin(), line.end(), '\t'));
  if (tabs + 1 != places.size()) return Status::error("a line has not one field per column");
  for (const int place : places) {
    const std::string_view field = take(&line, '\t');
    if (place >= 0) row[static_cast<size_t>(place)] = std::string(field);
  }
  return row;
}

// Takes the fields of kIdentityColumns off the row. A file without them was written by an older
// program, beside an older control database.
Status take_identity(SqlRow* row, Partner* identity) {
  const std::string codes = std::exchange(row->back(), std::nullopt).value_or("");
  row->pop_back();
  identity->owns_unmarked = row->back() != "false";
  row->pop_back();
  identity->registry_id = std::exchange(row->back(), std::nullopt).value_or("");
  row->pop_back();
  base::UuidBytes bytes;
  if (!identity->registry_id.empty() && !base::parse_uuid(identity->registry_id, &bytes)) {
    return Status::error("the id of a control database is wrong");
  }
  for (std::string_view rest = codes; !rest.empty();) {
    const std::string_view code = take(&rest, ',');
    if (!code.empty()) identity->former_codes.emplace_back(code);
  }
  return Status();
}

// Checks what holds the partners, and takes it off *text.
Status take_frame(std::string_view* text, const std::string& control) {
  if (text->size() < kChecksumLineSize) return Status::error("it is no such file, or cut off");
  const std::string_view lines = text->substr(0, text->size() - kChecksumLineSize);
  if (text->substr(lines.size()) != checksum_line(lines)) {
    return Status::error("it is damaged: its checksum is wrong");
  }
  *text = lines;
  if (take(text, '\n') != kFirstLine) {
    return Status::error("another version of this program has written it");
  }
  const std::string_view named = take(text, '\n');
  if (named != std::string(kControl) + control) {
    return Status::error("it is of another control database: " +
                         base::printable(named.substr(std::min(kControl.size(), named.size()))));
  }
  return Status();
}

}  // namespace

std::string partners_to_text(const std::string& control, const PartnerTable& table) {
  std::string text = std::string(kFirstLine) + "\n" + std::string(kControl) + control + "\n";
  std::vector<std::string> fields;
  for (const PartnerField& field : partner_fields()) fields.emplace_back(field.name);
  for (const std::string_view name : kIdentityColumns) fields.emplace_back(name);
  append_line(&text, fields);
  for (const auto& entry : table.entries()) {
    fields.clear();
    for (SqlText& field : partner_to_row(entry->partner)) fields.push_back(field.value_or(""));
    for (std::string& field : identity_fields(entry->partner)) fields.push_back(std::move(field));
    append_line(&text, fields);
  }
  return text + checksum_line(text);
}

Result<Partners> partners_from_text(std::string_view text, const std::string& control,
                                    const DatabaseHome& home) {
  const Status status = take_frame(&text, control);
  if (!status.ok()) return status;
  const std::vector<int> places = column_places(take(&text, '\n'));
  Partners partners;
  std::set<int64_t> ids;
  std::set<std::string> names;
  while (!text.empty()) {
    Result<SqlRow> row = row_from_line(take(&text, '\n'), places);
    if (!row.ok()) return row.status();
    Partner identity;
    const Status taken = take_identity(&row.value(), &identity);
    if (!taken.ok()) return taken;
    Result<Partner> partner = partner_from_row(row.value(), home);
    if (!partner.ok()) {
      partners.bad.push_back({0, base::printable(row_text(row.value(), "partner_code"), 50),
                              partner.status().message()});
      continue;
    }
    const Partner& read = partner.value();
    // A path starts with a slash: it is never equal to a code.
    if (read.id <= 0 || !ids.insert(read.id).second || !names.insert(read.partner_code).second ||
        !names.insert(read.endpoint_path).second) {
      return Status::error("partner " + base::printable(read.partner_code, 50) +
                           " has no id, or its id, code or path stands twice");
    }
    partners.partners.push_back(partner.take());
    partners.partners.back().registry_id = std::move(identity.registry_id);
    partners.partners.back().owns_unmarked = identity.owns_unmarked;
    partners.partners.back().former_codes = std::move(identity.former_codes);
  }
  return partners;
}

}  // namespace postback::partner
