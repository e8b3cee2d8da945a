#include "base/database_url.h"

#include <algorithm>

namespace postback::base {
namespace {

constexpr std::string_view kSqlite = "sqlite:";
constexpr std::string_view kSqliteSlashes = "sqlite://";
constexpr const char* kRight = "give sqlite:PATH or postgresql://USER:PASSWORD@HOST:PORT/DATABASE";
constexpr size_t kUrlSizeMax = 4096;

bool is_postgres(std::string_view url) {
  return url.starts_with("postgresql://") || url.starts_with("postgres://");
}

bool is_scheme_byte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' ||
         c == '-' || c == '.';
}

// The scheme for a message, or empty: what stands before the colon may be anything.
std::string_view scheme_of(std::string_view url) {
  const size_t colon = url.find(':');
  constexpr size_t kSchemeSizeMax = 30;
  if (colon == std::string_view::npos || colon > kSchemeSizeMax) return {};
  const std::string_view scheme = url.substr(0, colon);
  return std::all_of(scheme.begin(), scheme.end(), is_scheme_byte) ? scheme : std::string_view();
}

// An unencoded '@', '/' or '?' in the password makes libpq take a part of it for the host or the
// database, which messages name, or makes us take a part of it for options. The URL shows it by an
// '@' where none belongs. (libpq looks for the user up to the first '@' or '/', beyond a '?'.)
bool has_stray_at(std::string_view url) {
  const size_t authority = url.find("://") + 3;
  const size_t at = url.find('@', authority);
  const size_t end = std::min(url.find_first_of("/?", authority), url.size());
  if (end < url.size() && url[end] == '?' && at > end && at < url.find('/', end)) return true;
  const size_t path_end = std::min(url.find('?', end), url.size());
  if (at >= path_end) return false;
  return at > end || url.substr(0, path_end).find('@', at + 1) != std::string_view::npos;
}

// libpq decodes the names of options too, so that "%70assword" would be a password that nobody
// masks, and "%64bname" another database than the one we derive.
bool has_encoded_option_name(std::string_view url) {
  const size_t authority = url.find("://") + 3;
  size_t at = url.find('?', authority);
  while (at != std::string_view::npos) {
    const size_t end = std::min(url.find('&', at), url.size());
    const std::string_view option = url.substr(at + 1, end - at - 1);
    if (option.substr(0, option.find('=')).find('%') != std::string_view::npos) return true;
    at = url.find('&', at + 1);
  }
  return false;
}

// What may stand in the brackets of an IPv6 address with its zone (RFC 3986 section 3.2.2, RFC
// 6874).
bool is_address_byte(char c) {
  return is_scheme_byte(c) || c == ':' || c == '%' || c == '_' || c == '~';
}

// A host: an address in brackets and nothing else but its port, or a name without brackets. libpq
// reads what begins with a bracket up to the next ']', over a '/' or '?' where we see the hosts
// end.
bool has_wrong_brackets(std::string_view host) {
  if (!host.starts_with('[')) return host.find_first_of("[]") != std::string_view::npos;
  const size_t close = host.find(']');
  if (close == std::string_view::npos) return true;
  const std::string_view address = host.substr(1, close - 1);
  const std::string_view port = host.substr(close + 1);
  return address.empty() || !std::all_of(address.begin(), address.end(), is_address_byte) ||
         (!port.empty() && port[0] != ':') || port.find_first_of("[]") != std::string_view::npos;
}

// Requires !has_stray_at(url): the only '@' before the path ends the user and the password.
bool has_wrong_host(std::string_view url) {
  const size_t authority = url.find("://") + 3;
  std::string_view hosts =
      url.substr(authority, std::min(url.find_first_of("/?", authority), url.size()) - authority);
  if (const size_t at = hosts.find('@'); at != std::string_view::npos) hosts.remove_prefix(at + 1);
  while (true) {
    const size_t comma = hosts.find(',');
    if (has_wrong_brackets(hosts.substr(0, comma))) return true;
    if (comma == std::string_view::npos) return false;
    hosts.remove_prefix(comma + 1);
  }
}

Status wrong(const std::string& what) {
  return Status::error(what + "; " + kRight);
}

}  // namespace

Status check_database_url(std::string_view url) {
  if (url.empty()) return wrong("the database URL is empty");
  if (url.size() > kUrlSizeMax) return wrong("the database URL is over 4096 bytes");
  const bool control = std::any_of(url.begin(), url.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
  });
  if (control) return wrong("the database URL has a control character in it");
  if (is_postgres(url)) {
    if (url.find(' ') != std::string_view::npos) {
      return Status::error("the database URL has a space in it; write a space as %20");
    }
    if (has_stray_at(url)) {
      return Status::error(
          "the database URL's user or password has a special character in it; write @ as %40, / as "
          "%2F, ? as %3F");
    }
    if (has_wrong_host(url)) {
      return Status::error(
          "the database URL has a host with brackets that is no IPv6 address; write one as [::1], "
          "or "
          "[::1]:5432 with a port");
    }
    if (has_encoded_option_name(url)) {
      return Status::error(
          "the database URL has an option whose name is percent-encoded; write names as they are");
    }
    return Status();
  }
  if (!url.starts_with(kSqlite)) {
    const std::string_view scheme = scheme_of(url);
    if (scheme.empty()) return wrong("the database URL has no scheme");
    return wrong("database URL scheme '" + std::string(scheme) + "' is not known");
  }
  // Others read "sqlite:///x" as the relative path x, we would read it as /x: better not at all.
  if (url.starts_with(kSqliteSlashes)) {
    return Status::error(
        "a SQLite URL has no slashes before the path; give sqlite:data/control.db or "
        "sqlite:/var/lib/postback/control.db");
  }
  const std::string_view path = url.substr(kSqlite.size());
  if (path.empty()) return wrong("the SQLite URL has no path");
  if (path.ends_with('/')) return wrong("the SQLite URL names a folder, not a file");
  if (path.starts_with(':')) return wrong("a SQLite database in memory would be lost at exit");
  return Status();
}

DatabaseKind database_kind(std::string_view url) {
  return url.starts_with(kSqlite) ? DatabaseKind::sqlite : DatabaseKind::postgresql;
}

std::string sqlite_path(std::string_view url) {
  return std::string(url.substr(kSqlite.size()));
}

}  // namespace postback::base
