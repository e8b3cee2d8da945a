// Fuzz target of database URLs (base/database_url, base/log's masking, partner/effective_url,
// store/pg_url). The input: a URL, then the name of a database, with kPartEnd between them. A byte
// 1 in the URL stands for a secret word: where libpq takes it for a part of the password, nothing
// that is shown may contain it.
#include <libpq-fe.h>

#include <string>

#include "base/database_url.h"
#include "base/log.h"
#include "input.h"
#include "partner/effective_url.h"
#include "partner/sql_client.h"
#include "store/pg_url.h"

namespace {

constexpr std::string_view kSecret = "Hidden7Word";

bool holds_secret(std::string_view text) {
  return text.find(kSecret) != std::string_view::npos;
}

// Whether the secret stands there once, and libpq takes it for (a part of) a password.
bool is_password(const std::string& url) {
  const size_t at = url.find(kSecret);
  if (at == std::string::npos || holds_secret(std::string_view(url).substr(at + 1))) return false;
  PQconninfoOption* options = PQconninfoParse(url.c_str(), nullptr);
  bool found = false;
  for (PQconninfoOption* option = options; option != nullptr && option->keyword; ++option) {
    const std::string_view keyword = option->keyword;
    if (keyword != "password" && keyword != "sslpassword") continue;
    found = found || (option->val != nullptr && holds_secret(option->val));
  }
  PQconninfoFree(options);
  return found;
}

void check_target(const postback::store::PgTarget& target) {
  CHECK(!target.hosts.empty() && !target.database.empty());
  const auto parameters = target.connect_parameters(target.hosts, target.database);
  size_t names = 0;
  for (const auto& [name, value] : parameters) names += name == "dbname" ? 1 : 0;
  CHECK(names == 1);
}

// Another database on the same server: nothing but the database differs.
void check_other_database(const std::string& url, const std::string& database) {
  const std::string other_url = postback::partner::with_database(url, database);
  auto target = postback::store::parse_pg_url(url);
  auto other = postback::store::parse_pg_url(other_url);
  if (!target.ok()) return;
  CHECK(other.ok());
  CHECK(other.value().database == database);
  CHECK(other.value().password == target.value().password);
  CHECK(other.value().parameters == target.value().parameters);
  CHECK(other.value().hosts.size() == target.value().hosts.size());
  for (size_t i = 0; i < other.value().hosts.size(); ++i) {
    CHECK(other.value().hosts[i].host == target.value().hosts[i].host);
    CHECK(other.value().hosts[i].port == target.value().hosts[i].port);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view rest = postback::fuzz::text_of(data, size);
  std::string url;
  for (const char c : postback::fuzz::take_part(&rest)) {
    c == 1 ? url.append(kSecret) : url.append(1, c);
  }
  const postback::base::Status status = postback::partner::check_connectable_url(url);
  if (!status.ok()) {
    postback::fuzz::check_message(status.message());
    // The scheme may be told, the rest may be a secret.
    CHECK(!holds_secret(status.message()) || holds_secret(url.substr(0, url.find(':'))));
    return 0;
  }
  if (postback::base::database_kind(url) == postback::base::DatabaseKind::sqlite) {
    CHECK("sqlite:" + postback::base::sqlite_path(url) == url);
    return 0;
  }
  if (is_password(url)) CHECK(!holds_secret(postback::base::masked_url(url)));
  auto target = postback::store::parse_pg_url(url);
  if (target.ok()) {
    check_target(target.value());
    CHECK(!is_password(url) || target.value().password.empty() ||
          !holds_secret(target.value().clean_error("FATAL: " + target.value().password)));
  } else {
    postback::fuzz::check_message(target.status().message());
    CHECK(!holds_secret(target.status().message()));
  }
  const std::string database(rest);
  if (!database.empty() && database.find('\0') == std::string::npos) {
    check_other_database(url, database);
  }
  return 0;
}
