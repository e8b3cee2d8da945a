#include "store/pg_url.h"

#include <arpa/inet.h>
#include <libpq-fe.h>

#include <map>
#include <memory>

namespace postback::store {
namespace {

using base::Result;
using base::Status;
using Options = std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)>;

// Ours, where the URL says nothing. Keepalives notice a dead peer within 5 + 3 * 3 seconds while
// idle; with a batch in flight our own limit is shorter. gssencmode: looking for Kerberos
// credentials may ask name servers and block. read-write: a standby can store nothing, and with
// several hosts libpq then looks for the primary.
constexpr std::pair<const char*, const char*> kOurDefaults[] = {
    {"application_name", "postbackd"}, {"keepalives", "1"},
    {"keepalives_idle", "5"},          {"keepalives_interval", "3"},
    {"keepalives_count", "3"},         {"tcp_user_timeout", "15000"},
    {"gssencmode", "disable"},         {"target_session_attrs", "read-write"},
};

std::vector<std::string> split_list(const std::string& list) {
  std::vector<std::string> parts(1);
  for (const char c : list) {
    if (c == ',') {
      parts.emplace_back();
    } else {
      parts.back().push_back(c);
    }
  }
  return parts;
}

std::map<std::string, std::string> values_of(const Options& options) {
  std::map<std::string, std::string> values;
  for (const PQconninfoOption* option = options.get(); option != nullptr && option->keyword;
       ++option) {
    if (option->val != nullptr && option->val[0] != '\0') values[option->keyword] = option->val;
  }
  return values;
}

Result<std::vector<PgHost>> make_hosts(const std::string& host_list,
                                       const std::string& address_list,
                                       const std::string& port_list) {
  const std::vector<std::string> names = split_list(host_list);
  const std::vector<std::string> addresses = split_list(address_list);
  const std::vector<std::string> ports = split_list(port_list);
  const size_t count = address_list.empty() ? names.size() : addresses.size();
  if (!address_list.empty() && !host_list.empty() && names.size() != addresses.size()) {
    return Status::error(
        "the database URL has as many hosts as hostaddr entries, or only one list");
  }
  if (ports.size() != 1 && ports.size() != count) {
    return Status::error("the database URL needs one port, or as many ports as hosts");
  }
  std::vector<PgHost> hosts(count);
  for (size_t i = 0; i < count; ++i) {
    if (!host_list.empty()) hosts[i].host = names[i];
    if (!address_list.empty()) hosts[i].hostaddr = addresses[i];
    hosts[i].port = ports.size() == 1 ? ports[0] : ports[i];
  }
  return hosts;
}

void append_item(std::string* list, bool first, const std::string& item) {
  if (!first) list->push_back(',');
  list->append(item);
}

}  // namespace

bool is_pg_url(std::string_view url) {
  return url.starts_with("postgresql://") || url.starts_with("postgres://");
}

bool PgHost::needs_resolving() const {
  if (!hostaddr.empty() || host.empty() || host[0] == '/' || host[0] == '@') return false;
  unsigned char address[sizeof(in6_addr)];
  return inet_pton(AF_INET, host.c_str(), address) != 1 &&
         inet_pton(AF_INET6, host.c_str(), address) != 1;
}

Result<PgTarget> parse_pg_url(const std::string& url) {
  if (!is_pg_url(url)) return Status::error("a PostgreSQL URL starts with postgresql://");
  char* error = nullptr;
  const Options given(PQconninfoParse(url.c_str(), &error), &PQconninfoFree);
  if (error != nullptr) PQfreemem(error);  // It may quote the whole URL.
  if (!given) {
    return Status::error(
        "the database URL is not understood; it should look like "
        "postgresql://user:password@host:5432/database, with special characters of user and "
        "password percent-encoded");
  }
  std::map<std::string, std::string> values = values_of(given);
  if (values.count("service") != 0) {
    return Status::error(
        "the database URL names a service; write host, user and database into the URL, or set "
        "PGSERVICE in the environment");
  }
  // A host in the URL comes without the environment's address or port, and the other way round.
  const bool has_host = values.count("host") != 0 || values.count("hostaddr") != 0;
  for (const auto& [name, value] : values_of(Options(PQconndefaults(), &PQconninfoFree))) {
    if (has_host && (name == "host" || name == "hostaddr")) continue;
    values.try_emplace(name, value);
  }
  PgTarget target;
  auto hosts = make_hosts(values["host"], values["hostaddr"], values["port"]);
  if (!hosts.ok()) return hosts.status();
  target.hosts = hosts.take();
  target.database = values["dbname"];
  if (target.database.empty()) {
    return Status::error("the database URL names no database: postgresql://host/database");
  }
  target.password = values["password"];
  for (const char* own : {"host", "hostaddr", "port", "dbname", "service"}) values.erase(own);
  for (const auto& [name, value] : kOurDefaults) {
    const bool chosen = values_of(given).count(name) != 0;
    if (!chosen) values[name] = value;
  }
  values["client_encoding"] = "UTF8";
  target.parameters.assign(values.begin(), values.end());
  return target;
}

std::string PgTarget::place() const {
  std::string text = "postgresql://";
  for (const PgHost& host : hosts) {
    append_item(&text, &host == &hosts.front(), host.host.empty() ? host.hostaddr : host.host);
    text.append(":").append(host.port.empty() ? "5432" : host.port);
  }
  return text + "/" + database;
}

PgParameters PgTarget::connect_parameters(const std::vector<PgHost>& resolved_hosts,
                                          const std::string& database_name) const {
  PgParameters all = parameters;
  std::string host_list;
  std::string address_list;
  std::string port_list;
  bool has_address = false;
  bool first = true;
  for (const PgHost& host : resolved_hosts) {
    append_item(&host_list, first, host.host);
    append_item(&address_list, first, host.hostaddr);
    append_item(&port_list, first, host.port);
    has_address = has_address || !host.hostaddr.empty();
    first = false;
  }
  all.emplace_back("host", host_list);
  if (has_address) all.emplace_back("hostaddr", address_list);
  all.emplace_back("port", port_list);
  all.emplace_back("dbname", database_name);
  return all;
}

std::string PgTarget::clean_error(std::string_view text) const {
  // Before the lines are put together: the password may have line ends in it, too.
  std::string masked(text);
  for (size_t at = password.empty() ? std::string::npos : masked.find(password);
       at != std::string::npos; at = masked.find(password, at)) {
    masked.replace(at, password.size(), "***");
    at += 3;
  }
  std::string clean;
  std::string_view rest = masked;
  while (!rest.empty()) {
    const size_t end = rest.find('\n');
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    while (!line.empty() && (line.front() == ' ' || line.front() == '\t')) line.remove_prefix(1);
    // Where in PostgreSQL's source the error was raised: noise for our reader.
    if (line.empty() || line.starts_with("LOCATION:")) continue;
    if (!clean.empty()) clean.append("; ");
    clean.append(line);
  }
  return clean;
}

}  // namespace postback::store
