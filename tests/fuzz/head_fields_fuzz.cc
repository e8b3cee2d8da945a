// Fuzz target of what is read out of a request's head behind the parser: Host and target
// (http/target), route (server/router), Content-Type (conversion/content_type) and the parameters
// of the reports (server/query_integer). The first byte chooses the method; then Host, target and
// Content-Type, with kPartEnd between them.
#include <algorithm>
#include <cctype>

#include "conversion/content_type.h"
#include "http/target.h"
#include "input.h"
#include "server/query_integer.h"
#include "server/router.h"

namespace {

using postback::http::Method;
using postback::http::Request;
using postback::server::Route;
using postback::server::RouteKind;

bool lies_in(std::string_view part, std::string_view whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

// A host has no byte that could end it in a URL, and its port is a port.
void check_host(std::string_view host) {
  if (!postback::http::is_host(host)) return;
  CHECK(!host.empty() && host.size() <= 255);
  CHECK(host.find_first_of("/?#@ \t\r\n\\%") == std::string_view::npos);
  const size_t bracket = host.rfind(']');
  const size_t colon = host.find(':', bracket == std::string_view::npos ? 0 : bracket);
  CHECK((host[0] == '[') == (bracket != std::string_view::npos));
  if (colon == std::string_view::npos) return;
  const std::string port(host.substr(colon + 1));
  CHECK(port.size() <= 5 && std::all_of(port.begin(), port.end(), ::isdigit));
  CHECK(port.empty() || std::stoi(port) <= 65535);
}

// Put together again, the parts are the target.
void check_target(const Request& request) {
  CHECK(lies_in(request.query, request.target));
  if (request.target[0] != '/') {
    const bool absolute = lower(request.target).starts_with("http");
    CHECK(absolute || request.target == "*" || request.method == Method::connect);
    CHECK(request.path == "*" || request.path[0] == '/' || request.method == Method::connect);
    if (absolute && request.method != Method::connect) {
      const std::string authority =
          lower(request.target.substr(0, request.target.find("//") + 2)) + lower(request.host);
      CHECK(lower(request.target).starts_with(authority));
    }
    return;
  }
  if (request.method == Method::connect) return;
  std::string whole(request.path);
  if (request.path.size() < request.target.size()) whole += "?" + std::string(request.query);
  CHECK(whole == request.target);
  CHECK(request.path.find('?') == std::string_view::npos);
}

const postback::partner::PartnerTable& partners() {
  static const postback::partner::PartnerTable table = [] {
    std::vector<std::shared_ptr<const postback::partner::PartnerEntry>> entries;
    for (const char* path : {"/involve/event", "/a", "/a/b"}) {
      auto entry = std::make_shared<postback::partner::PartnerEntry>();
      entry->partner.endpoint_path = path;
      entry->partner.is_active = path != std::string_view("/a/b");
      entries.push_back(entry);
    }
    return postback::partner::PartnerTable(std::move(entries), 1);
  }();
  return table;
}

// A partner is found by its one spelling only.
void check_route(std::string_view path) {
  const Route route = postback::server::route(&partners(), path);
  const bool found = route.partner != nullptr;
  CHECK(found == (route.kind == RouteKind::postback || route.kind == RouteKind::stats ||
                  route.kind == RouteKind::conversions));
  if (!found) {
    CHECK(path.starts_with("/partner/") == (route.kind == RouteKind::unknown_partner));
    return;
  }
  CHECK(route.partner->partner.is_active);
  std::string spelled = "/partner" + route.partner->partner.endpoint_path;
  if (route.kind == RouteKind::stats) spelled += "/stats";
  if (route.kind == RouteKind::conversions) spelled += "/conversions";
  CHECK(path == spelled);
  CHECK(postback::server::route(nullptr, path).kind == RouteKind::unknown_partner);
}

void check_query(std::string_view query) {
  int64_t value = 0;
  if (!postback::server::read_query_integer(query, "limit", 1, 1000, 10, &value)) return;
  CHECK(value >= 1 && value <= 1000);
  // What was read stands there, or nothing was given.
  const std::string given = "limit=";
  const size_t at = ("&" + std::string(query)).find("&" + given);
  CHECK(at != std::string::npos || value == 10);
  // In front of everything, our own answer is read as it is.
  const std::string again = given + std::to_string(value) + "&" + std::string(query);
  int64_t second = 0;
  CHECK(postback::server::read_query_integer(again, "limit", 1, 1000, 10, &second));
  CHECK(second == value);
}

// The case of letters and spaces around make no difference.
void check_content_type(std::string_view type) {
  const auto kind = postback::conversion::body_kind(type);
  std::string upper(type);
  for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  CHECK(postback::conversion::body_kind(upper) == kind);
  CHECK(postback::conversion::body_kind(" \t" + std::string(type) + " ") == kind);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  constexpr Method kMethods[] = {Method::get, Method::post, Method::options, Method::connect};
  std::string_view rest = postback::fuzz::text_of(data + 1, size - 1);
  Request request;
  request.method = kMethods[data[0] % 4];
  request.host = postback::fuzz::take_part(&rest);
  request.target = postback::fuzz::take_part(&rest);
  check_host(request.host);
  if (postback::http::read_target(&request)) {
    check_target(request);
    check_route(request.path);
    check_query(request.query);
  }
  check_content_type(rest);
  return 0;
}
