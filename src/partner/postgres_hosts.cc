#include "partner/postgres_hosts.h"

#include <libpq-fe.h>

#include <map>
#include <memory>
#include <string_view>

namespace postback::partner {
namespace {

std::map<std::string, std::string> values_of(PQconninfoOption* raw) {
  const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> options(raw, &PQconninfoFree);
  std::map<std::string, std::string> values;
  for (const PQconninfoOption* option = raw; option != nullptr && option->keyword != nullptr;
       ++option) {
    if (option->val != nullptr && option->val[0] != '\0') values[option->keyword] = option->val;
  }
  return values;
}

std::vector<std::string> split(std::string_view list) {
  std::vector<std::string> items;
  for (;;) {
    const size_t comma = list.find(',');
    items.emplace_back(list.substr(0, comma));
    if (comma == std::string_view::npos) return items;
    list.remove_prefix(comma + 1);
  }
}

}  // namespace

PostgresHosts postgres_hosts(const std::string& url) {
  PostgresHosts found;
  std::map<std::string, std::string> values = values_of(PQconninfoParse(url.c_str(), nullptr));
  found.has_wish = values.count("target_session_attrs") != 0;
  if (values.count("service") != 0) return found;
  if (values.count("host") == 0 && values.count("hostaddr") == 0) {
    const auto defaults = values_of(PQconndefaults());
    for (const char* name : {"host", "hostaddr", "port"}) {
      if (defaults.count(name) != 0) values.try_emplace(name, defaults.at(name));
    }
  }
  const std::vector<std::string> names = split(values["host"]);
  const std::vector<std::string> addresses = split(values["hostaddr"]);
  const std::vector<std::string> ports = split(values["port"]);
  const size_t count = values["hostaddr"].empty() ? names.size() : addresses.size();
  const bool is_named = !values["host"].empty();
  if (!is_named && values["hostaddr"].empty()) return found;
  if (is_named && names.size() != count) return found;
  if (ports.size() != 1 && ports.size() != count) return found;
  for (size_t i = 0; i < count; ++i) {
    PostgresHost& host = found.hosts.emplace_back();
    if (is_named) host.host = names[i];
    if (!values["hostaddr"].empty()) host.address = addresses[i];
    host.port = ports.size() == 1 ? ports[0] : ports[i];
  }
  return found;
}

}  // namespace postback::partner
