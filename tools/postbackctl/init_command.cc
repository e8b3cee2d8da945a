// postbackctl init
#include "base/json_writer.h"
#include "base/log.h"
#include "command.h"
#include "control.h"
#include "partner/control_schema.h"
#include "partner/shipped_partners.h"

namespace postback::postbackctl {
namespace {

using partner::SqlClient;

// What init did about one shipped partner.
struct Outcome {
  std::string code;
  std::string path;
  bool registered = false;  // Now; otherwise it was there.
};

bool has_code(const std::vector<partner::SqlRow>& rows, const std::string& code) {
  for (const partner::SqlRow& row : rows) {
    if (partner::row_text(row, "partner_code") == code) return true;
  }
  return false;
}

base::Status register_shipped(SqlClient* client, std::vector<Outcome>* outcomes) {
  partner::SqlTransaction transaction(client);
  base::Status status = transaction.begin("partners");
  if (!status.ok()) return status;
  base::Result<std::vector<partner::SqlRow>> rows = partner::read_partner_rows(client);
  if (!rows.ok()) return rows.status();
  for (const Partner& shipped : partner::shipped_partners()) {
    const bool present = has_code(rows.value(), shipped.partner_code);
    if (!present) {
      status = check_free(rows.value(), shipped);
      if (status.ok()) status = partner::insert_partner(client, shipped);
      if (!status.ok()) {
        return base::Status::error("partner " + shipped.partner_code + ": " + status.message());
      }
    }
    outcomes->push_back({shipped.partner_code, shipped.endpoint_path, !present});
  }
  return transaction.commit();
}

std::string as_json(const std::string& url, const std::vector<Outcome>& outcomes) {
  std::string json = "{\"control_database\":";
  base::append_json_string(&json, url);
  for (const bool registered : {true, false}) {
    json += registered ? ",\"registered\":[" : "],\"present\":[";
    for (const Outcome& outcome : outcomes) {
      if (outcome.registered != registered) continue;
      if (json.back() != '[') json += ',';
      base::append_json_string(&json, outcome.code);
    }
  }
  return json + "]}\n";
}

}  // namespace

int run_init(const Invocation& invocation) {
  base::Result<std::unique_ptr<SqlClient>> client =
      SqlClient::open(invocation.settings.database_url, partner::SqlMode::create, kToolLimits);
  if (!client.ok()) return fail(client.status().message());
  base::Status status = partner::create_control_schema(client.value().get());
  if (!status.ok()) return fail(status.message());
  std::vector<Outcome> outcomes;
  status = register_shipped(client.value().get(), &outcomes);
  if (!status.ok()) return fail(status.message());

  const std::string url = base::masked_url(invocation.settings.database_url);
  if (invocation.json) {
    print(as_json(url, outcomes));
    return kOk;
  }
  print("control database " + url + " is ready\n");
  for (const Outcome& outcome : outcomes) {
    print("partner " + outcome.code +
          (outcome.registered ? " registered, endpoint /partner" + outcome.path
                              : " is there already and left as it is") +
          "\n");
  }
  return kOk;
}

}  // namespace postback::postbackctl
