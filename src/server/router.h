// From a request's path to what answers it. A pure function: paths are compared byte for byte,
// nothing is decoded or normalised, so there is exactly one spelling of every endpoint.
#pragma once

#include <cstdint>
#include <string_view>

#include "partner/partner_table.h"

namespace postback::server {

enum class RouteKind : uint8_t {
  postback,
  stats,
  conversions,
  health,
  info,
  metrics,
  unknown_partner,  // Below /partner/, but no active partner has it.
  not_found,
};

struct Route {
  RouteKind kind = RouteKind::not_found;
  const partner::PartnerEntry* partner = nullptr;  // postback, stats, conversions.
};

// `table` may be nullptr: no partner is known yet.
Route route(const partner::PartnerTable* table, std::string_view path);

}  // namespace postback::server
