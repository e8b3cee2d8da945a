#include "server/router.h"

namespace postback::server {
namespace {

const partner::PartnerEntry* active_partner(const partner::PartnerTable* table,
                                            std::string_view endpoint_path) {
  if (table == nullptr) return nullptr;
  const partner::PartnerEntry* entry = table->find(endpoint_path);
  return entry != nullptr && entry->partner.is_active ? entry : nullptr;
}

Route route_partner(const partner::PartnerTable* table, std::string_view endpoint) {
  // The reads come first, so that no partner can hide them.
  struct Suffix {
    std::string_view text;
    RouteKind kind;
  };
  constexpr Suffix kSuffixes[] = {{"/stats", RouteKind::stats},
                                  {"/conversions", RouteKind::conversions}};
  for (const Suffix& suffix : kSuffixes) {
    if (!endpoint.ends_with(suffix.text)) continue;
    endpoint.remove_suffix(suffix.text.size());
    const partner::PartnerEntry* partner = active_partner(table, endpoint);
    if (partner == nullptr) return {RouteKind::unknown_partner, nullptr};
    return {suffix.kind, partner};
  }
  const partner::PartnerEntry* partner = active_partner(table, endpoint);
  if (partner == nullptr) return {RouteKind::unknown_partner, nullptr};
  return {RouteKind::postback, partner};
}

}  // namespace

Route route(const partner::PartnerTable* table, std::string_view path) {
  constexpr std::string_view kPartnerPrefix = "/partner/";
  if (path.starts_with(kPartnerPrefix)) {
    return route_partner(table, path.substr(kPartnerPrefix.size() - 1));
  }
  if (path == "/health") return {RouteKind::health, nullptr};
  if (path == "/readyz") return {RouteKind::readyz, nullptr};
  if (path == "/info") return {RouteKind::info, nullptr};
  if (path == "/metrics") return {RouteKind::metrics, nullptr};
  return {RouteKind::not_found, nullptr};
}

Route RememberedRoutes::find_anew(const partner::PartnerTable* table, std::string_view path) {
  const Route found = route(table, path);
  if (found.kind == RouteKind::postback) slot_of(path) = {std::string(path), found};
  return found;
}

void RememberedRoutes::forget() {
  slots_ = {};
}

}  // namespace postback::server
