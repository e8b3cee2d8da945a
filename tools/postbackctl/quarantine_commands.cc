// postbackctl quarantine list, quarantine show
#include <simdjson.h>

#include <algorithm>
#include <charconv>
#include <tuple>
#include <utility>

#include "base/json_writer.h"
#include "base/nearest.h"
#include "base/printable.h"
#include "base/utf8.h"
#include "command.h"
#include "control.h"
#include "postback/reason.h"
#include "quarantine_rows.h"
#include "text_table.h"

namespace postback::postbackctl {
namespace {

using base::Result;
using base::Status;

std::vector<std::string> reason_names() {
  std::vector<std::string> names;
  for (int i = 1; reason_name(static_cast<Reason>(i)) != reason_name(Reason::none); ++i) {
    names.emplace_back(reason_name(static_cast<Reason>(i)));
  }
  return names;
}

Status check_reason(const std::string& reason) {
  const std::vector<std::string> names = reason_names();
  if (std::find(names.begin(), names.end(), reason) != names.end()) return Status();
  std::string near = base::did_you_mean(reason, names);
  if (near.empty()) {
    for (const std::string& name : names) near += (near.empty() ? "; give one of " : ", ") + name;
  }
  return Status::error("--reason " + base::printable(reason, 60) + ": not a reason" + near);
}

// The partners to look at: one or all. Rows that are wrong are named; *complete is then false.
Result<std::vector<Partner>> chosen_partners(const Invocation& invocation, bool* complete) {
  Result<std::unique_ptr<partner::SqlClient>> client =
      open_control(invocation.settings, partner::SqlMode::read);
  if (!client.ok()) return client.status();
  Result<std::vector<partner::SqlRow>> rows = partner::read_partner_rows(client.value().get());
  if (!rows.ok()) return rows.status();
  if (invocation.partner.has_value()) {
    Result<partner::SqlRow> row = find_row(rows.value(), *invocation.partner);
    if (!row.ok()) return row.status();
    rows.value() = {row.take()};
  }
  std::vector<Partner> partners;
  for (const partner::SqlRow& row : rows.value()) {
    Result<Partner> partner =
        partner::partner_from_row(row, partner::database_home(invocation.settings));
    if (partner.ok()) {
      partners.push_back(partner.take());
      continue;
    }
    *complete = false;
    warn("partner " + base::printable(partner::row_text(row, "partner_code")) + " left out: " +
         partner.status().message() + "; put it right with: postbackctl partner set");
  }
  return partners;
}

// Rows of all partners; a database that is away is named, and *complete is then false.
std::vector<QuarantineRow> read_all(const std::vector<Partner>& partners,
                                    const QuarantineQuery& query, bool* complete) {
  std::vector<QuarantineRow> all;
  for (const Partner& partner : partners) {
    Result<std::vector<QuarantineRow>> rows = read_quarantine(partner, query);
    if (!rows.ok()) {
      *complete = false;
      warn("partner " + partner.partner_code + " left out: " + rows.status().message());
      continue;
    }
    std::move(rows.value().begin(), rows.value().end(), std::back_inserter(all));
  }
  std::sort(all.begin(), all.end(), [](const QuarantineRow& a, const QuarantineRow& b) {
    return std::tie(a.received_at, a.id) > std::tie(b.received_at, b.id);
  });
  return all;
}

void append_text_member(std::string* out, const char* name,
                        const std::optional<std::string>& value) {
  out->push_back(',');
  base::append_json_name(out, name);
  if (value.has_value()) {
    base::append_json_string(out, *value);
  } else {
    out->append("null");
  }
}

// JSON of ours in the database: as it is, when it is whole; otherwise as a text.
void append_json_member(std::string* out, const char* name,
                        const std::optional<std::string>& value) {
  simdjson::dom::parser parser;
  if (!value.has_value() || parser.parse(*value).error() != simdjson::SUCCESS) {
    append_text_member(out, name, value);
    return;
  }
  out->push_back(',');
  base::append_json_name(out, name);
  out->append(*value);
}

std::string hex_of(const std::string& bytes) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string hex;
  for (const char byte : bytes) {
    const auto c = static_cast<unsigned char>(byte);
    hex += {kHex[c >> 4], kHex[c & 15]};
  }
  return hex;
}

std::string row_json(const QuarantineRow& row, bool complete) {
  std::string json = "{\"id\":" + std::to_string(row.id);
  append_text_member(&json, "partner", row.partner_code);
  append_text_member(&json, "received_at", row.received_at);
  append_text_member(&json, "reason", row.reason);
  append_text_member(&json, "field", row.field);
  append_text_member(&json, "message", row.message);
  append_text_member(&json, "conversion_id", row.conversion_id);
  if (!complete) return json + "}";
  append_text_member(&json, "method", row.method);
  append_text_member(&json, "target", row.target);
  append_json_member(&json, "raw_data", row.raw_data);
  append_json_member(&json, "request_headers", row.request_headers);
  append_text_member(&json, "request_ip", row.request_ip);
  append_text_member(&json, "body", row.body);
  // A JSON text cannot hold every byte; then the bytes follow in hexadecimal.
  if (row.body.has_value() && !base::is_valid_utf8(*row.body)) {
    append_text_member(&json, "body_hex", hex_of(*row.body));
  }
  return json + "}";
}

std::string list_text(const std::vector<QuarantineRow>& rows) {
  TextTable table({"ID", "RECEIVED", "PARTNER", "REASON", "FIELD", "CONVERSION ID", "MESSAGE"});
  constexpr size_t kIdShown = 40;
  constexpr size_t kMessageShown = 80;
  for (const QuarantineRow& row : rows) {
    table.add({std::to_string(row.id), row.received_at, row.partner_code, row.reason,
               row.field.value_or(""), base::printable(row.conversion_id.value_or(""), kIdShown),
               base::printable(row.message, kMessageShown)});
  }
  return table.text();
}

std::string show_text(const QuarantineRow& row) {
  std::string text;
  const auto add = [&text](std::string name, const std::optional<std::string>& value) {
    if (!value.has_value()) return;
    name.resize(17, ' ');
    text += name;
    base::append_printable(&text, *value);
    text += "\n";
  };
  add("id", std::to_string(row.id));
  add("partner", row.partner_code);
  add("received_at", row.received_at);
  add("reason", row.reason);
  add("field", row.field);
  add("message", row.message);
  add("conversion_id", row.conversion_id);
  add("request_ip", row.request_ip);
  add("method", row.method);
  add("target", row.target);
  add("request_headers", row.request_headers);
  add("raw_data", row.raw_data);
  add("body", row.body);
  return text;
}

}  // namespace

int run_quarantine_list(const Invocation& invocation) {
  QuarantineQuery query;
  query.reason = invocation.reason;
  query.limit = invocation.limit;
  if (query.reason.has_value()) {
    const Status status = check_reason(*query.reason);
    if (!status.ok()) return fail(status.message(), kUsage);
  }
  bool complete = true;
  Result<std::vector<Partner>> partners = chosen_partners(invocation, &complete);
  if (!partners.ok()) return fail(partners.status().message());
  std::vector<QuarantineRow> rows = read_all(partners.value(), query, &complete);
  if (rows.size() > static_cast<size_t>(query.limit)) rows.resize(static_cast<size_t>(query.limit));
  if (invocation.json) {
    std::string json = "[";
    for (const QuarantineRow& row : rows) {
      if (json.size() > 1) json += ",\n ";
      json += row_json(row, false);
    }
    print(json + "]\n");
  } else {
    print(rows.empty() ? "nothing in quarantine\n" : list_text(rows));
  }
  return complete ? kOk : kFailed;
}

int run_quarantine_show(const Invocation& invocation) {
  const std::string& word = invocation.words[0];
  int64_t id = 0;
  const auto result = std::from_chars(word.data(), word.data() + word.size(), id);
  if (result.ec != std::errc() || result.ptr != word.data() + word.size()) {
    return fail(
        "'" + base::printable(word, 60) + "' is not an id; postbackctl quarantine list shows them",
        kUsage);
  }
  QuarantineQuery query;
  query.id = id;
  bool complete = true;
  Result<std::vector<Partner>> partners = chosen_partners(invocation, &complete);
  if (!partners.ok()) return fail(partners.status().message());
  const std::vector<QuarantineRow> rows = read_all(partners.value(), query, &complete);
  if (rows.empty()) {
    return fail("no quarantined postback has the id " + word +
                (complete ? "" : " in the databases that answer") +
                "; postbackctl quarantine list shows those there are");
  }
  // Ids are unique within a partner; two partners may have the same.
  for (const QuarantineRow& row : rows) {
    print(invocation.json ? row_json(row, true) + "\n" : show_text(row));
  }
  return kOk;
}

}  // namespace postback::postbackctl
