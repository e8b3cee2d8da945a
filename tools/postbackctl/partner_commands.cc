// postbackctl partner list, partner show
#include "base/log.h"
#include "base/printable.h"
#include "command.h"
#include "control.h"
#include "partner/partner_json.h"
#include "partner_view.h"
#include "text_table.h"

namespace postback::postbackctl {
namespace {

using base::Result;
using partner::SqlClient;
using partner::SqlRow;

std::string wrong_row(const std::string& code, const std::string& error) {
  return "partner " + code + " is wrong in the control database: " + error +
         "; put it right with: postbackctl partner set " + code + " KEY=VALUE";
}

std::string list_text(const std::vector<Partner>& partners) {
  if (partners.empty()) {
    return "no partners; postbackctl init registers the shipped ones, partner add a new one\n";
  }
  TextTable table({"ID", "CODE", "NAME", "ENDPOINT", "ACTIVE", "ON INVALID", "LANES", "DATABASE"});
  for (const Partner& partner : partners) {
    table.add({std::to_string(partner.id), partner.partner_code, partner.partner_name,
               partner.endpoint_path, partner.is_active ? "yes" : "no",
               partner.on_invalid == OnInvalid::accept ? "accept" : "refuse",
               std::to_string(partner.lanes), base::masked_url(partner.effective_database_url)});
  }
  return table.text();
}

std::string list_json(const std::vector<Partner>& partners) {
  std::string json = "[";
  for (const Partner& partner : partners) {
    if (json.size() > 1) json += ",\n ";
    partner::append_partner_json(&json, partner, false);
  }
  return json + "]\n";
}

std::string show_text(const Partner& partner, bool secrets) {
  TextTable table({"FIELD", "VALUE"});
  for (const partner::PartnerField& field : partner::partner_fields()) {
    if (field.kind != partner::FieldKind::mapping) {
      table.add({field.name, field_text(field, partner, secrets)});
      continue;
    }
    std::string name = field.name;
    for (const MappingEntry& entry : partner.parameter_mapping) {
      table.add({name, entry.name + " -> " + entry.partner_name});
      name.clear();
    }
  }
  const std::string& url = partner.effective_database_url;
  table.add({"(rows go to)", secrets ? url : base::masked_url(url)});
  return table.text();
}

// A row that is no partner: what stands in it, as it is.
std::string raw_text(const SqlRow& row) {
  TextTable table({"FIELD", "VALUE"});
  for (const partner::PartnerField& field : partner::partner_fields()) {
    if (field.kind == partner::FieldKind::time) continue;
    const std::string text = partner::row_text(row, field.name);
    const bool is_url = std::string_view(field.name) == "database_url";
    table.add({field.name, is_url ? base::masked_url(text) : text});
  }
  return table.text();
}

}  // namespace

int run_partner_list(const Invocation& invocation) {
  Result<std::unique_ptr<SqlClient>> client =
      open_control(invocation.settings, partner::SqlMode::read);
  if (!client.ok()) return fail(client.status().message());
  Result<partner::Partners> loaded =
      partner::load_partners(client.value().get(), partner::database_home(invocation.settings));
  if (!loaded.ok()) return fail(loaded.status().message());
  const std::vector<Partner>& partners = loaded.value().partners;
  print(invocation.json ? list_json(partners) : list_text(partners));
  for (const partner::BadPartner& bad : loaded.value().bad) {
    warn(wrong_row(bad.partner_code, bad.error));
  }
  return loaded.value().bad.empty() ? kOk : kFailed;
}

int run_partner_show(const Invocation& invocation) {
  Result<std::unique_ptr<SqlClient>> client =
      open_control(invocation.settings, partner::SqlMode::read);
  if (!client.ok()) return fail(client.status().message());
  Result<std::vector<SqlRow>> rows = partner::read_partner_rows(client.value().get());
  if (!rows.ok()) return fail(rows.status().message());
  Result<SqlRow> row = find_row(rows.value(), invocation.words[0]);
  if (!row.ok()) return fail(row.status().message());
  Result<Partner> found =
      partner::partner_from_row(row.value(), partner::database_home(invocation.settings));
  if (!found.ok()) {
    if (!invocation.json) print(raw_text(row.value()));
    return fail(wrong_row(base::printable(invocation.words[0]), found.status().message()));
  }
  if (!invocation.json) {
    print(show_text(found.value(), invocation.show_secrets));
    return kOk;
  }
  std::string json;
  partner::append_partner_json(&json, found.value(), invocation.show_secrets);
  print(json + "\n");
  return kOk;
}

}  // namespace postback::postbackctl
