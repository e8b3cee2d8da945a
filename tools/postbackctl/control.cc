#include "control.h"

#include "base/log.h"
#include "base/nearest.h"
#include "base/printable.h"
#include "partner/control_schema.h"

namespace postback::postbackctl {

using base::Result;
using base::Status;
using partner::row_text;
using partner::SqlClient;
using partner::SqlRow;

Result<std::unique_ptr<SqlClient>> open_control(const base::Settings& settings,
                                                partner::SqlMode mode) {
  const std::string& url = settings.database_url;
  Result<std::unique_ptr<SqlClient>> client = SqlClient::open(url, mode, kToolLimits);
  if (!client.ok()) {
    Result<bool> exists = partner::database_exists(url, kToolLimits);
    if (!exists.ok() || exists.value()) return client;
    return Status::error("there is no control database " + base::masked_url(url) +
                         "; make it with: postbackctl init");
  }
  Status status = partner::check_control_schema(client.value().get());
  if (status.ok() && mode != partner::SqlMode::read) {
    // Made by an older program: whoever changes partners brings it up to date.
    status = partner::create_control_schema(client.value().get());
  }
  if (!status.ok()) return status;
  return client;
}

Result<SqlRow> find_row(const std::vector<SqlRow>& rows, const std::string& code) {
  std::vector<std::string> codes;
  for (const SqlRow& row : rows) {
    codes.push_back(row_text(row, "partner_code"));
    if (codes.back() == code) return row;
  }
  std::string near = base::did_you_mean(code, codes);
  if (near.empty()) near = "; postbackctl partner list shows those there are";
  return Status::error("no partner has the code '" + base::printable(code, 60) + "'" + near);
}

Status check_free(const std::vector<SqlRow>& rows, const Partner& partner) {
  for (const SqlRow& row : rows) {
    if (row_text(row, "id") == std::to_string(partner.id)) continue;
    const std::string code = row_text(row, "partner_code");
    if (code == partner.partner_code) {
      return Status::error("partner_code: there is a partner " + code +
                           " already; choose another code, or change it with: postbackctl partner "
                           "set " +
                           code);
    }
    if (row_text(row, "endpoint_path") == partner.endpoint_path) {
      return Status::error("endpoint_path: " + partner.endpoint_path + " belongs to partner " +
                           base::printable(code) + "; choose another path");
    }
  }
  return Status();
}

}  // namespace postback::postbackctl
