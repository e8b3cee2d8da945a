#include "partner/control_identity.h"

#include <charconv>

#include "base/uuid.h"

namespace postback::partner {
namespace {

using base::Result;
using base::Status;

constexpr int kIdsSince = 2;       // Table partner_ids.
constexpr int kIdentitySince = 4;  // Table postback_registry.

Status read_registry(SqlClient* client, ControlIdentity* identity) {
  Result<SqlResult> result =
      client->query("SELECT registry_id, from_version FROM postback_registry");
  if (!result.ok()) return result.status();
  const std::vector<SqlRow>& rows = result.value().rows;
  base::UuidBytes bytes;
  if (rows.size() != 1 || !base::parse_uuid(rows[0][0].value_or(""), &bytes)) {
    return Status::error(
        "the control database has no id, by which journals and partners' databases know it; "
        "restore table postback_registry from a backup");
  }
  identity->registry_id = base::uuid_text(bytes);
  identity->is_older = rows[0][1] != "0";
  return Status();
}

}  // namespace

Status insert_identity(SqlClient* client, int from_version) {
  const Result<SqlResult> result =
      client->query("INSERT INTO postback_registry (registry_id, from_version) VALUES ($1, " +
                        std::to_string(from_version) + ")",
                    {base::random_uuid()});
  return result.status();
}

Result<ControlIdentity> read_identity(SqlClient* client, int version) {
  ControlIdentity identity;
  if (version >= kIdentitySince) {
    const Status status = read_registry(client, &identity);
    if (!status.ok()) return status;
  }
  if (version < kIdsSince) return identity;
  Result<SqlResult> codes =
      client->query("SELECT id, partner_code FROM partner_ids ORDER BY partner_code");
  if (!codes.ok()) return codes.status();
  for (const SqlRow& row : codes.value().rows) {
    const std::string text = row[0].value_or("");
    int64_t id = 0;
    std::from_chars(text.data(), text.data() + text.size(), id);
    identity.codes[id].push_back(row[1].value_or(""));
  }
  return identity;
}

}  // namespace postback::partner
