// The parameters of our own reports: `?limit=10&cursor=891299333453355180`. A pure function.
#pragma once

#include <cstdint>
#include <string_view>

namespace postback::server {

// Reads the first parameter called `name`, whose value is not decoded: an integer needs no escapes.
// True, and *value set, when it is absent or empty (then to `otherwise`), or an integer from `low`
// to `high`. False, with *value unspecified, for anything else.
[[nodiscard]] bool read_query_integer(std::string_view query, std::string_view name, int64_t low,
                                      int64_t high, int64_t otherwise, int64_t* value);

}  // namespace postback::server
