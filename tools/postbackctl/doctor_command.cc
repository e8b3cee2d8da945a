// postbackctl doctor: looks at the databases as the server would, and tells what is wrong or risky.
// A check is a function that adds findings; one more is one more line in kChecks.
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "base/json_writer.h"
#include "base/log.h"
#include "command.h"
#include "control.h"
#include "partner/partner_rows.h"
#include "store/known_databases.h"
#include "store/pg_facts.h"
#include "store/schema.h"

namespace postback::postbackctl {
namespace {

using base::Result;
using partner::SqlClient;
using partner::SqlResult;

enum class Level : uint8_t { ok, warning, error };

struct Finding {
  Level level;
  std::string subject;  // "partner rector", "control database".
  std::string text;
};

struct Patient {
  const base::Settings* settings;
  std::vector<Partner> partners;
  store::KnownDatabases known;  // As the server has kept them in DATA_DIR.
};

const char* level_name(Level level) {
  switch (level) {
    case Level::ok:
      return "ok";
    case Level::warning:
      return "warning";
    case Level::error:
      return "error";
  }
  return "error";
}

std::string text_of(const SqlResult& result, size_t column) {
  return result.rows.empty() ? "" : result.rows[0][column].value_or("");
}

// Schema, index and partner id of one database; the client goes on with the server.
void check_schema(SqlClient* client, const Partner& partner, const std::string& subject,
                  std::vector<Finding>* findings) {
  Result<SqlResult> version = client->query("SELECT max(version) FROM postback_schema");
  if (!version.ok()) {
    findings->push_back(
        {Level::warning, subject, "no tables yet; the server makes them with the first postback"});
    return;
  }
  const int found = std::atoi(text_of(version.value(), 0).c_str());
  if (found != store::kSchemaVersion) {
    findings->push_back({found > store::kSchemaVersion ? Level::error : Level::warning, subject,
                         "schema version " + std::to_string(found) + ", this program has " +
                             std::to_string(store::kSchemaVersion)});
    return;
  }
  Result<SqlResult> code =
      client->query("SELECT partner_code FROM postback_partner_codes WHERE partner_id = " +
                    std::to_string(partner.id));
  const std::string known = code.ok() ? text_of(code.value(), 0) : "";
  if (!known.empty() && known != partner.partner_code) {
    findings->push_back({Level::error, subject,
                         "its database knows partner id " + std::to_string(partner.id) + " as " +
                             known +
                             ": nothing is stored if another control database gave the id"});
  }
}

void check_server(SqlClient* client, Patient* patient, const std::string& subject,
                  std::vector<Finding>* findings) {
  Result<SqlResult> facts = client->query("SELECT" PG_SERVER_FACTS);
  if (!facts.ok()) {
    findings->push_back({Level::warning, subject,
                         "the server does not tell timeline and standbys: a failover is not"
                         " noticed (" +
                             facts.status().message() + ")"});
    return;
  }
  constexpr int kHexadecimal = 16;
  store::DatabaseIdentity identity;
  identity.system_identifier = text_of(facts.value(), 0);
  const std::string timeline = text_of(facts.value(), 1);
  identity.timeline = static_cast<uint32_t>(std::strtoul(timeline.c_str(), nullptr, kHexadecimal));
  if (timeline.empty()) {
    findings->push_back({Level::warning, subject, "the server that answered is a standby"});
    return;
  }
  const base::Status met = patient->known.at(subject, "", 0).meet(identity);
  if (!met.ok()) findings->push_back({Level::error, subject, met.message()});
  const bool waits = text_of(facts.value(), 2) == "t";
  findings->push_back(
      {waits ? Level::ok : Level::warning, subject,
       "timeline " + std::to_string(identity.timeline) +
           (waits ? ", the primary waits for a standby with each commit"
                  : ", the primary waits for no standby: a failover may lose the last acknowledged"
                    " postbacks (synchronous_standby_names)")});
}

void check_databases(Patient* patient, std::vector<Finding>* findings) {
  for (const Partner& partner : patient->partners) {
    const std::string subject = "partner " + partner.partner_code;
    Result<std::unique_ptr<SqlClient>> client =
        SqlClient::open(partner.effective_database_url, partner::SqlMode::read, kToolLimits);
    if (!client.ok()) {
      findings->push_back({Level::warning, subject, client.status().message()});
      continue;
    }
    const size_t before = findings->size();
    check_schema(client.value().get(), partner, subject, findings);
    if (client.value()->kind() == base::DatabaseKind::postgresql) {
      check_server(client.value().get(), patient, subject, findings);
    }
    if (findings->size() == before)
      findings->push_back({Level::ok, subject, "its database is well"});
  }
}

// What the server keeps is read, and never written: the file is the server's (known_databases.h).
void check_kept(Patient* patient, std::vector<Finding>* findings) {
  const std::string path = patient->settings->data_dir + "/databases.known";
  if (access(path.c_str(), F_OK) != 0) return;
  std::ifstream file(path);
  std::string word;
  store::DatabaseIdentity identity;
  while (file >> word) {
    if (word == "timeline" && file >> identity.system_identifier >> identity.timeline) {
      static_cast<void>(patient->known.at(path, "", 0).meet(identity));
    }
  }
  if (!file.eof()) findings->push_back({Level::warning, path, "cannot be read"});
}

constexpr void (*kChecks[])(Patient*, std::vector<Finding>*) = {check_kept, check_databases};

void show(const std::vector<Finding>& findings, bool json) {
  std::string text = json ? "[" : "";
  for (const Finding& finding : findings) {
    if (!json) {
      std::string level = level_name(finding.level);
      level.resize(8, ' ');
      text += level + finding.subject + ": " + finding.text + "\n";
      continue;
    }
    text += text.size() > 1 ? ",\n {" : "{";
    base::append_json_name(&text, "level");
    base::append_json_string(&text, level_name(finding.level));
    text += ",";
    base::append_json_name(&text, "subject");
    base::append_json_string(&text, finding.subject);
    text += ",";
    base::append_json_name(&text, "text");
    base::append_json_string(&text, finding.text);
    text += "}";
  }
  print(json ? text + "]\n" : text);
}

}  // namespace

int run_doctor(const Invocation& invocation) {
  Patient patient;
  patient.settings = &invocation.settings;
  Result<std::unique_ptr<SqlClient>> control =
      open_control(invocation.settings, partner::SqlMode::read);
  if (!control.ok()) return fail(control.status().message());
  Result<partner::Partners> loaded =
      partner::load_partners(control.value().get(), partner::database_home(invocation.settings));
  if (!loaded.ok()) return fail(loaded.status().message());
  std::vector<Finding> findings;
  for (const partner::BadPartner& bad : loaded.value().bad) {
    findings.push_back({Level::error, "partner " + bad.partner_code, bad.error});
  }
  patient.partners = std::move(loaded.value().partners);
  for (const auto check : kChecks) check(&patient, &findings);
  show(findings, invocation.json);
  for (const Finding& finding : findings) {
    if (finding.level == Level::error) return kFailed;
  }
  return kOk;
}

}  // namespace postback::postbackctl
