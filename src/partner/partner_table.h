// An immutable snapshot of the registry: all partners, found by endpoint path. The registry makes
// a new one when something changed and hands it to every core; shared by all threads.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "conversion/mapping.h"
#include "postback/partner.h"

namespace postback::partner {

struct PartnerEntry {
  Partner partner;
  std::shared_ptr<const conversion::Mapping> mapping;
  // answered_json() of `partner`, made once for all its postbacks.
  std::string answered_json;
};

// The partner as the answers to its postbacks show it: {"code":…,"name":…,"endpoint":…}.
std::string answered_json(const Partner& partner);

// Where the partners of a table were read.
enum class TableSource : uint8_t {
  control_database,
  cache,  // As they once were: there may be others by now.
};

class PartnerTable {
 public:
  PartnerTable(std::vector<std::shared_ptr<const PartnerEntry>> entries, uint64_t version,
               TableSource source = TableSource::control_database);
  ~PartnerTable();
  PartnerTable(const PartnerTable&) = delete;
  PartnerTable& operator=(const PartnerTable&) = delete;

  // `endpoint_path` as in the request behind "/partner": "/involve/event". Exact; active and
  // inactive partners. nullptr when unknown.
  const PartnerEntry* find(std::string_view endpoint_path) const;
  // Ordered by partner id. An entry that did not change is the same object as in the table before.
  const std::vector<std::shared_ptr<const PartnerEntry>>& entries() const { return entries_; }
  uint64_t version() const { return version_; }  // Grows with every change; starts at 1.
  TableSource source() const { return source_; }

 private:
  struct Index;
  std::vector<std::shared_ptr<const PartnerEntry>> entries_;
  std::unique_ptr<Index> index_;
  uint64_t version_;
  TableSource source_;
};

}  // namespace postback::partner
