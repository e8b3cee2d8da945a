#include "partner/partner_ids.h"

#include <charconv>

namespace postback::partner {

using base::Result;
using base::Status;

Status remember_ids(SqlClient* client) {
  // Without WHERE, SQLite would take ON for the start of a join's condition.
  return client->run(
      "INSERT INTO partner_ids (partner_code, id) SELECT partner_code, id FROM partners WHERE true "
      "ON CONFLICT (partner_code) DO UPDATE SET id = excluded.id");
}

Result<bool> was_known(SqlClient* client, const std::string& code) {
  Result<SqlResult> found =
      client->query("SELECT 1 FROM partner_ids WHERE partner_code = $1", {code});
  if (!found.ok()) return found.status();
  return !found.value().rows.empty();
}

Result<std::optional<int64_t>> former_id(SqlClient* client, const std::string& code) {
  Result<SqlResult> found = client->query(
      "SELECT id FROM partner_ids WHERE partner_code = $1 AND id NOT IN (SELECT id FROM partners)",
      {code});
  if (!found.ok()) return found.status();
  if (found.value().rows.empty()) return std::optional<int64_t>();
  const std::string text = found.value().rows[0][0].value_or("");
  int64_t id = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), id);
  if (result.ec != std::errc() || result.ptr != text.data() + text.size()) {
    return Status::error("table partner_ids holds no number as the id of " + code +
                         "; put it right with SQL");
  }
  return std::optional<int64_t>(id);
}

}  // namespace postback::partner
