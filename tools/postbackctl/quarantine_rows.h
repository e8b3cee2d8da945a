// Reading table postback_quarantine (src/store/schema.cc) of a partner's database. Blocking.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "partner/sql_client.h"
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
  // The rest only when one row or a page was asked for.
  std::optional<std::string> method, target, raw_data, request_headers, request_ip;
  std::optional<std::string> body;  // As it came: any bytes.
};

struct QuarantineQuery {
  std::optional<std::string> reason;
  std::optional<int64_t> id;  // This row, with everything.
  // A page: rows with higher ids, lowest first, with everything. Otherwise highest first.
  std::optional<int64_t> after_id;
  int limit = 1;

  bool complete_rows() const { return id.has_value() || after_id.has_value(); }
};

// Rows of a page: each has at most a body of 64 KiB, as much raw data and headers of 16 KiB.
constexpr int kQuarantinePageRows = 100;

// Highest id first. No rows when the database or its table does not exist: nothing has come yet.
base::Result<std::vector<QuarantineRow>> read_quarantine(const Partner& partner,
                                                         const QuarantineQuery& query);

// The partner's database for several reads, or null when there is none or no table in it.
base::Result<std::unique_ptr<partner::SqlClient>> open_quarantine(const Partner& partner,
                                                                  partner::SqlMode mode);
base::Result<std::vector<QuarantineRow>> read_quarantine_rows(partner::SqlClient* client,
                                                              const Partner& partner,
                                                              const QuarantineQuery& query);

}  // namespace postback::postbackctl
