// Reading table postback_quarantine (src/store/schema.cc) of a partner's database. Blocking.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "postback/partner.h"

namespace postback::postbackctl {

struct QuarantineRow {
  int64_t id = 0;
  std::string partner_code;
  std::string received_at;  // ISO 8601, UTC.
  std::string reason;
  std::optional<std::string> field;
  std::string message;
  std::optional<std::string> conversion_id;
  // The rest only when one row was asked for.
  std::optional<std::string> method, target, raw_data, request_headers, request_ip;
  std::optional<std::string> body;  // As it came: any bytes.
};

struct QuarantineQuery {
  std::optional<std::string> reason;
  std::optional<int64_t> id;  // This row, with everything.
  int limit = 1;
};

// Newest first. No rows when the database or its table does not exist: nothing has come yet.
base::Result<std::vector<QuarantineRow>> read_quarantine(const Partner& partner,
                                                         const QuarantineQuery& query);

}  // namespace postback::postbackctl
