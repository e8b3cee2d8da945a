// postbackctl quarantine list, quarantine show, quarantine export
#include <algorithm>
#include <tuple>
#include <utility>

#include "base/printable.h"
#include "command.h"
#include "quarantine_choice.h"
#include "quarantine_json.h"
#include "quarantine_rows.h"
#include "text_table.h"

namespace postback::postbackctl {
namespace {

using base::Result;
using base::Status;

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

// Prints a partner's rows page by page.
Status export_partner(const Partner& partner, QuarantineQuery query) {
  Result<std::unique_ptr<partner::SqlClient>> client =
      open_quarantine(partner, partner::SqlMode::read);
  if (!client.ok()) return client.status();
  if (client.value() == nullptr) return Status();
  query.after_id = -1;  // Below every id.
  query.limit = kQuarantinePageRows;
  for (;;) {
    Result<std::vector<QuarantineRow>> rows =
        read_quarantine_rows(client.value().get(), partner, query);
    if (!rows.ok()) return rows.status();
    for (const QuarantineRow& row : rows.value()) print(export_line(row));
    if (rows.value().size() < static_cast<size_t>(query.limit)) return Status();
    query.after_id = rows.value().back().id;
  }
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
  Result<int64_t> id = quarantine_id(word);
  if (!id.ok()) return fail(id.status().message(), kUsage);
  QuarantineQuery query;
  query.id = id.value();
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

int run_quarantine_export(const Invocation& invocation) {
  QuarantineQuery query;
  query.reason = invocation.reason;
  if (query.reason.has_value()) {
    const Status status = check_reason(*query.reason);
    if (!status.ok()) return fail(status.message(), kUsage);
  }
  bool complete = true;
  Result<std::vector<Partner>> partners = chosen_partners(invocation, &complete);
  if (!partners.ok()) return fail(partners.status().message());
  for (const Partner& partner : partners.value()) {
    const Status status = export_partner(partner, query);
    if (status.ok()) continue;
    complete = false;
    warn("partner " + partner.partner_code + " is not complete: " + status.message());
  }
  return complete ? kOk : kFailed;
}

}  // namespace postback::postbackctl
