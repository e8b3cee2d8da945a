// postbackctl init
#include "base/json_writer.h"
#include "base/log.h"
#include "command.h"
#include "control.h"
#include "partner/control_schema.h"
#include "partner/partner_ids.h"
#include "partner/shipped_partners.h"

namespace postback::postbackctl {
namespace {

using partner::SqlClient;

// What init did about one shipped partner.
enum class Deed : uint8_t {
  registered,
  present,  // And left as it is.
  removed,  // By an operator, who does not want it back at every start.
};

struct Outcome {
  std::string code;
  std::string path;
  Deed deed;
};

bool has_code(const std::vector<partner::SqlRow>& rows, const std::string& code) {
  for (const partner::SqlRow& row : rows) {
    if (partner::row_text(row, "partner_code") == code) return true;
  }
  return false;
}

base::Result<Deed> deed_for(SqlClient* client, const std::vector<partner::SqlRow>& rows,
                            const std::string& code, bool restore) {
  if (has_code(rows, code)) return Deed::present;
  if (restore) return Deed::registered;
  base::Result<bool> known = partner::was_known(client, code);
  if (!known.ok()) return known.status();
  return known.value() ? Deed::removed : Deed::registered;
}

base::Status register_shipped(SqlClient* client, bool restore, std::vector<Outcome>* outcomes) {
  partner::SqlTransaction transaction(client);
  base::Status status = transaction.begin("partners");
  if (!status.ok()) return status;
  base::Result<std::vector<partner::SqlRow>> rows = partner::read_partner_rows(client);
  if (!rows.ok()) return rows.status();
  for (const Partner& shipped : partner::shipped_partners()) {
    base::Result<Deed> deed = deed_for(client, rows.value(), shipped.partner_code, restore);
    if (!deed.ok()) return deed.status();
    if (deed.value() == Deed::registered) {
      status = check_free(rows.value(), shipped);
      if (status.ok()) status = partner::insert_partner(client, shipped);
      if (!status.ok()) {
        return base::Status::error("partner " + shipped.partner_code + ": " + status.message());
      }
    }
    outcomes->push_back({shipped.partner_code, shipped.endpoint_path, deed.value()});
  }
  return transaction.commit();
}

std::string as_json(const std::string& url, const std::vector<Outcome>& outcomes) {
  std::string json = "{\"control_database\":";
  base::append_json_string(&json, url);
  const auto append_list = [&](const char* name, Deed deed) {
    json += std::string(",\"") + name + "\":[";
    for (const Outcome& outcome : outcomes) {
      if (outcome.deed != deed) continue;
      if (json.back() != '[') json += ',';
      base::append_json_string(&json, outcome.code);
    }
    json += ']';
  };
  append_list("registered", Deed::registered);
  append_list("present", Deed::present);
  append_list("removed", Deed::removed);
  return json + "}\n";
}

std::string as_text(const Outcome& outcome) {
  switch (outcome.deed) {
    case Deed::registered:
      return "registered, endpoint /partner" + outcome.path;
    case Deed::present:
      return "is there already and left as it is";
    case Deed::removed:
      return "was removed or renamed before and stays away; register it again with: postbackctl "
             "init --restore";
  }
  return "";
}

}  // namespace

int run_init(const Invocation& invocation) {
  base::Result<std::unique_ptr<SqlClient>> client =
      SqlClient::open(invocation.settings.database_url, partner::SqlMode::create, kToolLimits);
  if (!client.ok()) return fail(client.status().message());
  base::Status status = partner::create_control_schema(client.value().get());
  if (!status.ok()) return fail(status.message());
  std::vector<Outcome> outcomes;
  status = register_shipped(client.value().get(), invocation.restore, &outcomes);
  if (!status.ok()) return fail(status.message());

  const std::string url = base::masked_url(invocation.settings.database_url);
  if (invocation.json) {
    print(as_json(url, outcomes));
    return kOk;
  }
  print("control database " + url + " is ready\n");
  for (const Outcome& outcome : outcomes) {
    print("partner " + outcome.code + " " + as_text(outcome) + "\n");
  }
  return kOk;
}

}  // namespace postback::postbackctl
