// A partner: one row of the registry table `partners`, checked and with defaults filled in.
// Immutable once in a partner table; shared by all threads.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace postback {

enum class OnInvalid : uint8_t { refuse, accept };

struct MappingEntry {
  std::string name;          // Left: the name in our endpoint's URL (`sub_id`).
  std::string partner_name;  // Right: the partner's own name (`aff_sub`).
  bool operator==(const MappingEntry&) const = default;
};

struct Partner {
  int32_t id = 0;
  std::string partner_code;   // 1 to 50 of [a-z0-9_-].
  std::string partner_name;   // 1 to 100 characters.
  std::string endpoint_path;  // "/involve/event": starts with a slash, ends without one.
  std::string endpoint_url;
  std::string cloud_run_service_name;
  std::string cloud_run_region = "asia-southeast1";
  std::string cloud_run_project_id;
  std::string database_name;
  std::string database_url;  // As configured; may be empty.
  // Where the partner's rows really go: database_url, or derived from the control database and
  // database_name. `sqlite:PATH` or `postgresql://…`. Contains secrets.
  std::string effective_database_url;
  std::vector<MappingEntry> parameter_mapping;  // In the order of the JSON object.
  bool is_active = true;
  bool enable_logging = true;
  int64_t max_daily_requests = 100000;
  int32_t data_retention_days = 30;  // Then a row's content is purged, and it is shown no more.
  // How long, at least, the id of a purged conversion makes a repeat a duplicate. As long as the
  // row itself is kept in any case.
  int32_t dedupe_retention_days = 400;
  std::string timezone = "UTC";  // IANA name or fixed offset ("+08:00").
  OnInvalid on_invalid = OnInvalid::refuse;
  int32_t lanes = 1;  // 1 to 64.
  // Grows with each `postbackctl forget`: what servers remember of the partner's database under a
  // lower one counts no more.
  int64_t memory_epoch = 0;
  int64_t created_at_us = 0;
  int64_t updated_at_us = 0;
  // The control database that knows the partner by this id (see partner/control_identity.h): its
  // own id, a UUID. Empty: not known.
  std::string registry_id;
  // The control database is older than such ids. What is marked with a partner id and with no
  // control database, as older programs did, was marked by this one.
  bool owns_unmarked = true;
  std::vector<std::string> former_codes;  // Which it had under the same id, ascending.
  bool operator==(const Partner&) const = default;
};

}  // namespace postback
