#include "partner/effective_url.h"

#include <algorithm>
#include <filesystem>
#include <string_view>

#include "base/database_url.h"

namespace postback::partner {
namespace {

// RFC 3986 section 2.3: everything but the unreserved characters is encoded.
std::string percent_encoded(std::string_view text) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char byte : text) {
    const auto c = static_cast<unsigned char>(byte);
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~';
    if (plain) {
      out += byte;
    } else {
      out += {'%', kHex[c >> 4], kHex[c & 15]};
    }
  }
  return out;
}

// The options ("a=b&c=d") without `dbname`.
std::string without_database(std::string_view options) {
  std::string kept;
  while (!options.empty()) {
    const std::string_view option = options.substr(0, options.find('&'));
    options.remove_prefix(std::min(option.size() + 1, options.size()));
    if (option.empty() || option.starts_with("dbname=")) continue;
    kept += (kept.empty() ? "" : "&") + std::string(option);
  }
  return kept;
}

// One spelling per file, as far as that can be told without looking at the disk.
std::filesystem::path normal_path(const std::string& path) {
  std::error_code failure;
  std::filesystem::path absolute = std::filesystem::absolute(path, failure);
  return failure ? std::filesystem::path(path) : absolute.lexically_normal();
}

}  // namespace

std::string with_database(const std::string& url, const std::string& database) {
  // scheme://[user[:password]@]hosts[/database][?options]; '/' and '?' within the user, the
  // password or a socket's folder are percent-encoded, or libpq would not understand it either.
  const size_t authority = url.find("://") + 3;
  const size_t authority_end = std::min(url.find_first_of("/?", authority), url.size());
  const size_t question = std::min(url.find('?', authority_end), url.size());
  const std::string options =
      without_database(std::string_view(url).substr(std::min(question + 1, url.size())));
  return url.substr(0, authority_end) + "/" + percent_encoded(database) +
         (options.empty() ? "" : "?" + options);
}

base::Result<std::string> effective_database_url(const DatabaseHome& home, const Partner& partner) {
  std::string url = partner.database_url;
  const bool sqlite = base::database_kind(home.control_url) == base::DatabaseKind::sqlite;
  if (url.empty() && sqlite) {
    url = "sqlite:" +
          (std::filesystem::path(home.data_dir) / (partner.database_name + ".db")).string();
  } else if (url.empty()) {
    url = with_database(home.control_url, partner.database_name);
  }
  if (sqlite && base::database_kind(url) == base::DatabaseKind::sqlite &&
      normal_path(base::sqlite_path(url)) == normal_path(base::sqlite_path(home.control_url))) {
    return base::Status::error(
        std::string(partner.database_url.empty() ? "database_name" : "database_url") +
        ": is the control database's own file; choose another");
  }
  return url;
}

}  // namespace postback::partner
