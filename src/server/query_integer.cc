#include "server/query_integer.h"

#include <algorithm>
#include <charconv>

namespace postback::server {
namespace {

// The value of a parameter, not decoded. Empty when absent.
std::string_view query_value(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const size_t end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (pair.size() > name.size() && pair.starts_with(name) && pair[name.size()] == '=') {
      return pair.substr(name.size() + 1);
    }
  }
  return {};
}

}  // namespace

bool read_query_integer(std::string_view query, std::string_view name, int64_t low, int64_t high,
                        int64_t otherwise, int64_t* value) {
  const std::string_view text = query_value(query, name);
  if (text.empty()) {
    *value = otherwise;
    return true;
  }
  const auto result = std::from_chars(text.data(), text.data() + text.size(), *value);
  return result.ec == std::errc() && result.ptr == text.data() + text.size() && *value >= low &&
         *value <= high;
}

}  // namespace postback::server
