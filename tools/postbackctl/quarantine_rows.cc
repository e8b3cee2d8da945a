#include "quarantine_rows.h"

#include <cstdlib>
#include <utility>

#include "control.h"
#include "partner/sql_client.h"

namespace postback::postbackctl {
namespace {

using base::Result;
using partner::SqlClient;
using partner::SqlRow;

// The table's existence is asked for first: its absence is no error, other failures are.
Result<bool> has_table(SqlClient* client) {
  const bool sqlite = client->kind() == base::DatabaseKind::sqlite;
  Result<partner::SqlResult> found =
      client->query(sqlite ? "SELECT 1 FROM sqlite_schema WHERE name = 'postback_quarantine'"
                           : "SELECT 1 WHERE to_regclass('postback_quarantine') IS NOT NULL");
  if (!found.ok()) return found.status();
  return !found.value().rows.empty();
}

std::string select_of(const SqlClient& client, int32_t partner_id, const QuarantineQuery& query) {
  const bool sqlite = client.kind() == base::DatabaseKind::sqlite;
  std::string sql = "SELECT id, ";
  sql += sqlite ? "received_at"
                : "to_char(received_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')";
  sql += ", reason, field, message, conversion_id";
  if (query.complete_rows()) {
    sql += ", method, target, raw_data, request_headers, request_ip, ";
    sql += sqlite ? "hex(body), body IS NULL" : "encode(body, 'hex'), (body IS NULL)::integer";
  }
  sql += " FROM postback_quarantine WHERE partner_id = " + std::to_string(partner_id);
  if (query.id.has_value()) sql += " AND id = " + std::to_string(*query.id);
  if (query.reason.has_value()) sql += " AND reason = $1";
  if (query.after_id.has_value()) sql += " AND id > " + std::to_string(*query.after_id);
  // Ids grow with time, and they are what the table has an index on.
  return sql + " ORDER BY id" + (query.after_id.has_value() ? "" : " DESC") + " LIMIT " +
         std::to_string(query.limit);
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  return (c | 0x20) - 'a' + 10;
}

std::string from_hex(const std::string& hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes += static_cast<char>(hex_digit(hex[i]) << 4 | hex_digit(hex[i + 1]));
  }
  return bytes;
}

QuarantineRow row_of(SqlRow& columns, const Partner& partner, bool complete) {
  QuarantineRow row;
  row.partner_code = partner.partner_code;
  row.id = std::strtoll(columns[0].value_or("0").c_str(), nullptr, 10);
  row.received_at = columns[1].value_or("");
  row.reason = columns[2].value_or("");
  row.field = std::move(columns[3]);
  row.message = columns[4].value_or("");
  row.conversion_id = std::move(columns[5]);
  if (!complete) return row;
  row.method = std::move(columns[6]);
  row.target = std::move(columns[7]);
  row.raw_data = std::move(columns[8]);
  row.request_headers = std::move(columns[9]);
  row.request_ip = std::move(columns[10]);
  if (columns[12].value_or("1") == "0") row.body = from_hex(columns[11].value_or(""));
  return row;
}

}  // namespace

Result<std::unique_ptr<SqlClient>> open_quarantine(const Partner& partner, partner::SqlMode mode) {
  const std::string& url = partner.effective_database_url;
  Result<std::unique_ptr<SqlClient>> client = SqlClient::open(url, mode, kToolLimits);
  if (!client.ok()) {
    Result<bool> exists = partner::database_exists(url, kToolLimits);
    if (exists.ok() && !exists.value()) return std::unique_ptr<SqlClient>();
    return client.status();
  }
  Result<bool> table = has_table(client.value().get());
  if (!table.ok()) return table.status();
  if (!table.value()) return std::unique_ptr<SqlClient>();
  return client;
}

Result<std::vector<QuarantineRow>> read_quarantine_rows(SqlClient* client, const Partner& partner,
                                                        const QuarantineQuery& query) {
  std::vector<partner::SqlText> parameters;
  if (query.reason.has_value()) parameters.push_back(query.reason);
  Result<partner::SqlResult> result =
      client->query(select_of(*client, partner.id, query), parameters);
  if (!result.ok()) return result.status();
  std::vector<QuarantineRow> rows;
  for (SqlRow& columns : result.value().rows) {
    rows.push_back(row_of(columns, partner, query.complete_rows()));
  }
  return rows;
}

Result<std::vector<QuarantineRow>> read_quarantine(const Partner& partner,
                                                   const QuarantineQuery& query) {
  Result<std::unique_ptr<SqlClient>> client = open_quarantine(partner, partner::SqlMode::read);
  if (!client.ok()) return client.status();
  if (client.value() == nullptr) return std::vector<QuarantineRow>();
  return read_quarantine_rows(client.value().get(), partner, query);
}

}  // namespace postback::postbackctl
