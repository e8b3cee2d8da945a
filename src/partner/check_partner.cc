// Checks of a partner as a whole: forms of its texts, its timezone, where its rows go.
#include <algorithm>
#include <string_view>

#include "base/printable.h"
#include "conversion/time_zone.h"
#include "partner/partner_fields.h"
#include "partner/sql_client.h"

namespace postback::partner {
namespace {

using base::Status;

// PostgreSQL cuts longer names (NAMEDATALEN - 1), and two partners could meet in one database.
constexpr size_t kDatabaseNameSizeMax = 63;

bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}
bool is_upper(char c) {
  return c >= 'A' && c <= 'Z';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

Status check_code(const std::string& code) {
  const bool good = std::all_of(code.begin(), code.end(), [](char c) {
    return is_lower(c) || is_digit(c) || c == '_' || c == '-';
  });
  if (code.empty()) return Status::error("partner_code: is missing; give a short name");
  if (code.front() == '-') {
    return Status::error("partner_code: begins with '-', as flags do; begin with a letter");
  }
  if (good) return Status();
  return Status::error("partner_code: '" + base::printable(code) +
                       "' is not a code; use only a to z, 0 to 9, '_' and '-'");
}

Status path_error(const std::string& path, const std::string& what) {
  return Status::error("endpoint_path: '" + base::printable(path) + "' " + what);
}

// Only what every client sends unchanged, percent-encoding never needed (RFC 3986, unreserved).
bool is_segment_byte(char c) {
  return is_lower(c) || is_upper(c) || is_digit(c) || c == '.' || c == '_' || c == '~' || c == '-';
}

Status check_path(const std::string& path) {
  if (path.empty()) return Status::error("endpoint_path: is missing; give one like /involve/event");
  if (path.front() != '/')
    return path_error(path, "does not start with '/'; give /" + base::printable(path));
  std::string_view rest = path;
  std::string_view segment;
  while (!rest.empty()) {
    rest.remove_prefix(1);  // The slash.
    segment = rest.substr(0, rest.find('/'));
    rest.remove_prefix(segment.size());
    if (segment.empty()) {
      return path_error(path,
                        "has an empty segment; write it without '//' and without '/' at "
                        "the end");
    }
    if (segment == "." || segment == "..") {
      return path_error(path, "has a segment of dots, which clients resolve; leave it out");
    }
    if (!std::all_of(segment.begin(), segment.end(), is_segment_byte)) {
      return path_error(path,
                        "has other characters than A to Z, a to z, 0 to 9 and . _ ~ -; "
                        "write segments of these");
    }
  }
  if (segment == "stats" || segment == "conversions") {
    return path_error(path, "ends with /" + std::string(segment) +
                                ", which is the path of a report; choose another ending");
  }
  return Status();
}

Status check_database(const Partner& partner) {
  if (!partner.database_url.empty()) {
    const Status status = check_connectable_url(partner.database_url);
    if (!status.ok()) return Status::error("database_url: " + status.message());
    if (partner.database_url.find(":***@") != std::string::npos) {
      return Status::error(
          "database_url: its password is masked; take it from: postbackctl partner show CODE "
          "--show-secrets");
    }
  }
  const std::string& name = partner.database_name;
  if (name.empty()) {
    if (!partner.database_url.empty()) return Status();
    return Status::error("database_name: is missing; give it, or give database_url");
  }
  const bool good = (is_lower(name[0]) || is_upper(name[0]) || name[0] == '_') &&
                    std::all_of(name.begin(), name.end(), [](char c) {
                      return is_lower(c) || is_upper(c) || is_digit(c) || c == '_' || c == '-';
                    });
  if (good && name.size() <= kDatabaseNameSizeMax) return Status();
  return Status::error("database_name: '" + base::printable(name) +
                       "' is not a name; use at most 63 of a to z, 0 to 9, '_' and '-', a letter "
                       "first");
}

Status check_endpoint_url(const std::string& url) {
  if (url.empty() || url.starts_with("https://") || url.starts_with("http://")) return Status();
  return Status::error("endpoint_url: '" + base::printable(url) +
                       "' is not the URL of a page; give one that starts with https://");
}

}  // namespace

Status check_partner(const Partner& partner) {
  Status status = check_code(partner.partner_code);
  if (!status.ok()) return status;
  if (partner.partner_name.empty()) {
    return Status::error("partner_name: is missing; give the name to be shown");
  }
  status = check_path(partner.endpoint_path);
  if (!status.ok()) return status;
  status = check_endpoint_url(partner.endpoint_url);
  if (!status.ok()) return status;
  status = check_database(partner);
  if (!status.ok()) return status;
  const base::Result<conversion::TimeZone> zone = conversion::TimeZone::find(partner.timezone);
  if (!zone.ok()) return Status::error("timezone: " + zone.status().message());
  return Status();
}

}  // namespace postback::partner
