#include "quarantine_choice.h"

#include <algorithm>
#include <charconv>
#include <memory>

#include "base/nearest.h"
#include "base/printable.h"
#include "control.h"
#include "postback/reason.h"

namespace postback::postbackctl {

using base::Result;
using base::Status;

namespace {

std::vector<std::string> reason_names() {
  std::vector<std::string> names;
  for (int i = 1; reason_name(static_cast<Reason>(i)) != reason_name(Reason::none); ++i) {
    names.emplace_back(reason_name(static_cast<Reason>(i)));
  }
  return names;
}

}  // namespace

Status check_reason(const std::string& reason) {
  const std::vector<std::string> names = reason_names();
  if (std::find(names.begin(), names.end(), reason) != names.end()) return Status();
  std::string near = base::did_you_mean(reason, names);
  if (near.empty()) {
    for (const std::string& name : names) near += (near.empty() ? "; give one of " : ", ") + name;
  }
  return Status::error("--reason " + base::printable(reason, 60) + ": not a reason" + near);
}

Result<int64_t> quarantine_id(const std::string& word) {
  int64_t id = 0;
  const char* end = word.data() + word.size();
  const auto result = std::from_chars(word.data(), end, id);
  if (result.ec == std::errc() && result.ptr == end) return id;
  return Status::error("'" + base::printable(word, 60) +
                       "' is not an id; postbackctl quarantine list shows them");
}

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

}  // namespace postback::postbackctl
