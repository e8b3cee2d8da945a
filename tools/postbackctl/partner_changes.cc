// postbackctl partner add, set, enable, disable, remove
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "base/database_url.h"
#include "base/json_writer.h"
#include "base/log.h"
#include "base/printable.h"
#include "command.h"
#include "control.h"
#include "partner/partner_json.h"
#include "partner_view.h"
#include "store/pg_url.h"

namespace postback::postbackctl {
namespace {

using base::Result;
using base::Status;
using partner::SqlClient;
using partner::SqlRow;

// The control database with all its rows, other writers shut out until commit or end of scope.
class Change {
 public:
  Status begin(const base::Settings& settings) {
    home_ = partner::database_home(settings);
    Result<std::unique_ptr<SqlClient>> client = open_control(settings, partner::SqlMode::write);
    if (!client.ok()) return client.status();
    client_ = client.take();
    transaction_ = std::make_unique<partner::SqlTransaction>(client_.get());
    const Status status = transaction_->begin("partners");
    if (!status.ok()) return status;
    return read();
  }
  Status read() {
    Result<std::vector<SqlRow>> rows = partner::read_partner_rows(client_.get());
    if (rows.ok()) rows_ = rows.take();
    return rows.status();
  }
  Status commit() { return transaction_->commit(); }
  SqlClient* client() { return client_.get(); }
  const std::vector<SqlRow>& rows() const { return rows_; }
  const partner::DatabaseHome& home() const { return home_; }

 private:
  partner::DatabaseHome home_;
  std::unique_ptr<SqlClient> client_;
  std::unique_ptr<partner::SqlTransaction> transaction_;  // Destroyed before its client.
  std::vector<SqlRow> rows_;
};

Result<std::string> read_file(const std::string& path) {
  const bool standard_input = path == "-";
  const std::string shown = standard_input ? "standard input" : base::printable(path);
  const std::unique_ptr<FILE, int (*)(FILE*)> opened(
      standard_input ? nullptr : std::fopen(path.c_str(), "re"),
      [](FILE* file) { return file == nullptr ? 0 : std::fclose(file); });
  FILE* file = standard_input ? stdin : opened.get();
  if (file == nullptr) {
    return Status::error(shown + ": cannot be opened (" + std::strerror(errno) +
                         "); give a JSON file, or - for standard input");
  }
  std::string text(partner::kPartnerJsonBytesMax + 1, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file));
  if (std::ferror(file) != 0) {
    return Status::error(shown + ": cannot be read (" + std::strerror(errno) +
                         "); give a JSON file, or - for standard input");
  }
  return text;
}

void print_json(const Partner& partner) {
  std::string json;
  partner::append_partner_json(&json, partner, false);
  print(json + "\n");
}

// The partner as it is in the database now: with its id and its times.
Result<Partner> read_again(Change* change, const std::string& code) {
  const Status status = change->read();
  if (!status.ok()) return status;
  Result<SqlRow> row = find_row(change->rows(), code);
  if (!row.ok()) return row.status();
  return partner::partner_from_row(row.value(), change->home());
}

Result<Partner> add(const Invocation& invocation, const std::string& json) {
  Result<Partner> given = partner::partner_from_json(json);
  if (!given.ok()) return given.status();
  Change change;
  Status status = change.begin(invocation.settings);
  if (!status.ok()) return status;
  status = check_free(change.rows(), given.value());
  if (!status.ok()) return status;
  Result<std::string> url = partner::effective_database_url(change.home(), given.value());
  if (!url.ok()) return url.status();
  status = partner::insert_partner(change.client(), given.value());
  if (!status.ok()) return status;
  Result<Partner> added = read_again(&change, given.value().partner_code);
  if (added.ok()) status = change.commit();
  return status.ok() ? std::move(added) : Result<Partner>(status);
}

// "lanes: 1 -> 2, timezone: UTC -> Asia/Taipei"; empty when nothing changed.
std::string differences(const SqlRow& before, const Partner& after,
                        const partner::DatabaseHome& home) {
  Result<Partner> old = partner::partner_from_row(before, home);
  std::string text;
  for (const partner::PartnerField& field : partner::partner_fields()) {
    if (field.by_database) continue;
    if (old.ok() && field.get(old.value()) == field.get(after)) continue;
    if (!text.empty()) text += ", ";
    text += std::string(field.name) + ": ";
    if (old.ok()) text += base::printable(field_text(field, old.value(), false)) + " -> ";
    text += base::printable(field_text(field, after, false));
  }
  return text;
}

struct Assignment {
  const partner::PartnerField* field;
  std::string value;
};

// Servers and database, without user and password: where rows go.
std::string place_of(const std::string& url) {
  if (base::database_kind(url) == base::DatabaseKind::sqlite) return url;
  Result<store::PgTarget> target = store::parse_pg_url(url);
  return target.ok() ? target.value().place() : url;
}

// Empty, or what moving to another database means.
std::string moves(const SqlRow& before, const Partner& after, const partner::DatabaseHome& home) {
  Result<Partner> old = partner::partner_from_row(before, home);
  if (!old.ok()) return "";
  const std::string& from = old.value().effective_database_url;
  const std::string& to = after.effective_database_url;
  if (place_of(from) == place_of(to)) return "";
  // Nothing is left behind where nothing was made yet; one that is away may hold everything.
  Result<bool> exists = partner::database_exists(from, kToolLimits);
  if (exists.ok() && !exists.value()) return "";
  return "its rows would go to " + base::masked_url(to) + " instead of " + base::masked_url(from) +
         ". What is stored there stays there: the new database does not know its conversion ids, so"
         " repeats of them are stored and counted again, and /stats and /conversions begin anew";
}

int change_partner(const Invocation& invocation, const std::vector<Assignment>& assignments) {
  Change change;
  Status status = change.begin(invocation.settings);
  if (!status.ok()) return fail(status.message());
  Result<SqlRow> row = find_row(change.rows(), invocation.words[0]);
  if (!row.ok()) return fail(row.status().message());
  // The texts of the row are changed, not the partner: so a row that is wrong can be put right.
  SqlRow changed = row.value();
  for (const Assignment& assignment : assignments) {
    const auto index = static_cast<size_t>(assignment.field - partner::partner_fields().data());
    changed[index] = assignment.value;
  }
  Result<Partner> checked = partner::partner_from_row(changed, change.home());
  status = checked.status();
  if (status.ok()) status = check_free(change.rows(), checked.value());
  if (!status.ok()) {
    return fail("partner " + base::printable(invocation.words[0]) +
                " is unchanged: " + status.message());
  }
  const std::string moved =
      invocation.yes ? "" : moves(row.value(), checked.value(), change.home());
  if (!moved.empty()) {
    return fail("partner " + checked.value().partner_code + " is unchanged: " + moved +
                ". If that is meant, give --yes");
  }
  const std::string what = differences(row.value(), checked.value(), change.home());
  if (!what.empty()) {
    status = partner::update_partner(change.client(), checked.value());
    if (!status.ok()) return fail(status.message());
  }
  Result<Partner> now = read_again(&change, checked.value().partner_code);
  status = now.ok() ? change.commit() : now.status();
  if (!status.ok()) return fail(status.message());
  if (invocation.json) {
    print_json(now.value());
  } else {
    print("partner " + now.value().partner_code +
          (what.empty() ? " is unchanged" : " changed: " + what) + "\n");
  }
  return kOk;
}

int set_active(const Invocation& invocation, const char* value) {
  return change_partner(invocation, {{partner::find_field("is_active"), value}});
}

}  // namespace

int run_partner_add(const Invocation& invocation) {
  Result<std::string> json = read_file(invocation.words[0]);
  if (!json.ok()) return fail(json.status().message());
  Result<Partner> added = add(invocation, json.value());
  if (!added.ok()) return fail("partner not added: " + added.status().message());
  if (invocation.json) {
    print_json(added.value());
    return kOk;
  }
  const Partner& partner = added.value();
  print("partner " + partner.partner_code + " added with id " + std::to_string(partner.id) +
        ": endpoint /partner" + partner.endpoint_path + ", rows go to " +
        base::masked_url(partner.effective_database_url) + "\n");
  return kOk;
}

int run_partner_set(const Invocation& invocation) {
  std::vector<Assignment> assignments;
  for (size_t i = 1; i < invocation.words.size(); ++i) {
    const std::string& word = invocation.words[i];
    const size_t equals = word.find('=');
    if (equals == std::string::npos) {
      return fail("'" + base::printable(word, 60) + "' has no '='; give KEY=VALUE", kUsage);
    }
    const std::string name = word.substr(0, equals);
    const partner::PartnerField* field = partner::find_field(name);
    if (field == nullptr) return fail(partner::unknown_field(name).message(), kUsage);
    if (field->by_database) {
      return fail(name + ": is given by the database; it cannot be set", kUsage);
    }
    for (const Assignment& before : assignments) {
      if (before.field == field) return fail(name + ": stands twice; keep one", kUsage);
    }
    assignments.push_back({field, word.substr(equals + 1)});
  }
  return change_partner(invocation, assignments);
}

int run_partner_enable(const Invocation& invocation) {
  return set_active(invocation, "true");
}
int run_partner_disable(const Invocation& invocation) {
  return set_active(invocation, "false");
}

int run_forget(const Invocation& invocation) {
  Change change;
  Status status = change.begin(invocation.settings);
  if (!status.ok()) return fail(status.message());
  Result<SqlRow> row = find_row(change.rows(), invocation.words[0]);
  if (!row.ok()) return fail(row.status().message());
  const std::string id = partner::row_text(row.value(), "id");
  const std::string code = base::printable(invocation.words[0]);
  status = change.client()
               ->query("UPDATE partners SET memory_epoch = memory_epoch + 1 WHERE id = " + id)
               .status();
  if (status.ok()) status = change.commit();
  if (!status.ok()) return fail(status.message());
  if (invocation.json) {
    std::string json = "{\"forgotten\":";
    base::append_json_string(&json, invocation.words[0]);
    print(json + ",\"id\":" + id + "}\n");
  } else {
    print("partner " + code +
          ": running servers forget within two seconds which of its conversion ids are durable; its"
          " database decides\n");
  }
  return kOk;
}

int run_partner_remove(const Invocation& invocation) {
  const std::string& code = invocation.words[0];
  Change change;
  Status status = change.begin(invocation.settings);
  if (!status.ok()) return fail(status.message());
  Result<SqlRow> row = find_row(change.rows(), code);
  if (!row.ok()) return fail(row.status().message());
  const int64_t id = std::strtoll(partner::row_text(row.value(), "id").c_str(), nullptr, 10);
  status = partner::delete_partner(change.client(), id);
  if (status.ok()) status = change.commit();
  if (!status.ok()) return fail(status.message());
  Result<Partner> removed = partner::partner_from_row(row.value(), change.home());
  const std::string url =
      removed.ok() ? base::masked_url(removed.value().effective_database_url) : "";
  if (invocation.json) {
    std::string json = "{\"removed\":";
    base::append_json_string(&json, code);
    json += ",\"id\":" + std::to_string(id) + ",\"rows_kept_in\":";
    base::append_json_string(&json, url);
    print(json + "}\n");
  } else {
    print("partner " + base::printable(code) + " (id " + std::to_string(id) +
          ") removed; its rows are kept in " + (url.empty() ? "its database" : url) + "\n");
  }
  return kOk;
}

}  // namespace postback::postbackctl
