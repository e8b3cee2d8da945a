#include "partner/partner_rows.h"

#include <charconv>
#include <utility>

#include "base/printable.h"
#include "partner/control_identity.h"
#include "partner/control_schema.h"
#include "partner/partner_fields.h"
#include "partner/partner_ids.h"
#include "partner/partner_json.h"

namespace postback::partner {
namespace {

using base::Result;
using base::Status;

// How a column is read as text: times as microseconds since the epoch, the mapping as its JSON.
std::string select_expression(const PartnerField& field, base::DatabaseKind kind) {
  const std::string name = field.name;
  if (kind == base::DatabaseKind::postgresql) {
    if (field.kind == FieldKind::time) {
      return "(extract(epoch FROM " + name + ") * 1000000)::bigint";
    }
    return field.kind == FieldKind::mapping ? name + "::text" : name;
  }
  if (field.kind != FieldKind::time) return name;
  // SQLite's own functions know milliseconds; unreadable text gives NULL, which is no time. %f is
  // "SS.SSS".
  return "CAST(strftime('%s', " + name + ") AS INTEGER) * 1000000 + CAST(substr(strftime('%f', " +
         name + "), 4) AS INTEGER) * 1000";
}

SqlText sql_text(const PartnerField& field, const Partner& partner, base::DatabaseKind kind) {
  const FieldValue value = field.get(partner);
  switch (field.kind) {
    case FieldKind::text:
      return std::get<std::string>(value);
    case FieldKind::boolean: {
      const bool yes = std::get<bool>(value);
      if (kind == base::DatabaseKind::sqlite) return yes ? "1" : "0";
      return yes ? "true" : "false";
    }
    case FieldKind::integer:
    case FieldKind::time:
      return std::to_string(std::get<int64_t>(value));
    case FieldKind::mapping: {
      std::string json;
      append_mapping_json(&json, std::get<std::vector<MappingEntry>>(value));
      return json;
    }
  }
  return std::nullopt;
}

const char* now_expression(base::DatabaseKind kind) {
  return kind == base::DatabaseKind::sqlite ? "strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z'"
                                            : "now()";
}

// What a partner has from its control database as a whole.
void set_identity(const ControlIdentity& identity, Partner* partner) {
  partner->registry_id = identity.registry_id;
  partner->owns_unmarked = identity.is_older;
  const auto codes = identity.codes.find(partner->id);
  if (codes == identity.codes.end()) return;
  for (const std::string& code : codes->second) {
    if (code != partner->partner_code) partner->former_codes.push_back(code);
  }
}

int64_t integer_of(const std::string& text) {
  int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

}  // namespace

Result<std::vector<SqlRow>> read_partner_rows(SqlClient* client) {
  Result<int> version = control_schema_version(client);
  if (!version.ok()) return version.status();
  std::string columns;
  for (const PartnerField& field : partner_fields()) {
    // Who only reads meets a database that an older program made.
    const bool is_there = field.since_version <= version.value();
    columns += (columns.empty() ? "" : ", ") +
               (is_there ? select_expression(field, client->kind()) : "NULL");
  }
  Result<SqlResult> result = client->query("SELECT " + columns + " FROM partners ORDER BY id");
  if (!result.ok()) return result.status();
  return std::move(result.value().rows);
}

Result<Partner> partner_from_row(const SqlRow& row, const DatabaseHome& home) {
  CHECK(row.size() == partner_fields().size());
  Partner partner;
  size_t column = 0;
  for (const PartnerField& field : partner_fields()) {
    const Status status = assign_field_text(field, row[column++], &partner);
    if (!status.ok()) return status;
  }
  const Status status = check_partner(partner);
  if (!status.ok()) return status;
  Result<std::string> url = effective_database_url(home, partner);
  if (!url.ok()) return url.status();
  partner.effective_database_url = url.take();
  return partner;
}

SqlRow partner_to_row(const Partner& partner) {
  SqlRow row;
  for (const PartnerField& field : partner_fields()) {
    row.push_back(sql_text(field, partner, base::DatabaseKind::postgresql));
  }
  return row;
}

std::string row_text(const SqlRow& row, std::string_view field) {
  size_t column = 0;
  for (const PartnerField& known : partner_fields()) {
    if (field == known.name) return row[column].value_or("");
    ++column;
  }
  CHECK(false);
}

Result<Partners> load_partners(SqlClient* client, const DatabaseHome& home) {
  Result<std::vector<SqlRow>> rows = read_partner_rows(client);
  if (!rows.ok()) return rows.status();
  Result<int> version = control_schema_version(client);
  if (!version.ok()) return version.status();
  Result<ControlIdentity> identity = read_identity(client, version.value());
  if (!identity.ok()) return identity.status();
  Partners loaded;
  for (const SqlRow& row : rows.value()) {
    Result<Partner> partner = partner_from_row(row, home);
    if (partner.ok()) {
      loaded.partners.push_back(partner.take());
      set_identity(identity.value(), &loaded.partners.back());
    } else {
      loaded.bad.push_back({integer_of(row_text(row, "id")),
                            base::printable(row_text(row, "partner_code"), 50),
                            partner.status().message()});
    }
  }
  return loaded;
}

Status insert_partner(SqlClient* client, const Partner& partner) {
  std::string names;
  std::string places;
  std::vector<SqlText> values;
  for (const PartnerField& field : partner_fields()) {
    if (field.by_database) continue;
    values.push_back(sql_text(field, partner, client->kind()));
    names += (names.empty() ? "" : ", ") + std::string(field.name);
    places += (places.empty() ? "$" : ", $") + std::to_string(values.size());
  }
  Result<std::optional<int64_t>> id = former_id(client, partner.partner_code);
  if (!id.ok()) return id.status();
  if (id.value().has_value()) {
    names += ", id";
    places += ", " + std::to_string(*id.value());
  }
  Result<SqlResult> result =
      client->query("INSERT INTO partners (" + names + ") VALUES (" + places + ")", values);
  return result.ok() ? remember_ids(client) : result.status();
}

Status update_partner(SqlClient* client, const Partner& partner) {
  // Before, because the code may change; after, for the new one.
  const Status status = remember_ids(client);
  if (!status.ok()) return status;
  std::string assignments;
  std::vector<SqlText> values;
  for (const PartnerField& field : partner_fields()) {
    if (field.by_database) continue;
    values.push_back(sql_text(field, partner, client->kind()));
    assignments += std::string(field.name) + " = $" + std::to_string(values.size()) + ", ";
  }
  assignments += std::string("updated_at = ") + now_expression(client->kind());
  // The id is a number of ours: no parameter, whose type PostgreSQL would have to guess.
  Result<SqlResult> result = client->query(
      "UPDATE partners SET " + assignments + " WHERE id = " + std::to_string(partner.id), values);
  return result.ok() ? remember_ids(client) : result.status();
}

Status delete_partner(SqlClient* client, int64_t id) {
  const Status status = remember_ids(client);
  if (!status.ok()) return status;
  Result<SqlResult> result = client->query("DELETE FROM partners WHERE id = " + std::to_string(id));
  return result.ok() ? Status() : result.status();
}

}  // namespace postback::partner
