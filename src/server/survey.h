// What /health, /info and /metrics tell: a message that visits every core in turn, each adding its
// own part, and comes back to the core that asked. So nothing is shared and nothing is locked.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/histogram.h"
#include "base/settings.h"
#include "ingest/lane.h"
#include "partner/registry.h"
#include "postback/message.h"
#include "retention/retention.h"
#include "server/connections.h"
#include "server/journal_service.h"

namespace postback::server {

struct LaneReport {
  int32_t partner_id = 0;
  std::string partner_code;
  std::string partner_name;
  std::string endpoint_path;
  uint32_t slice = 0;
  const char* store_kind = "";
  StoreStatus store;
  ingest::LaneCounters counters;
  size_t held = 0;
  ingest::LaneHealth health = ingest::LaneHealth::up;
  const ingest::PartnerBacklog* backlog = nullptr;  // Of its partner; nullptr: no journal.
};

struct CoreReport {
  uint32_t core = 0;
  std::string engine;
  std::string engine_reason;
  size_t connections = 0;
  ConnectionCounters connection_counters;
  size_t postbacks_in_use = 0;
  size_t dedupe_ids = 0;
  size_t dedupe_bytes = 0;
  std::vector<LaneReport> lanes;
};

struct Survey : Message {
  enum class Kind : uint8_t { health, info, metrics };
  Kind kind = Kind::health;
  uint32_t origin_core = 0;
  uint32_t connection = 0;
  uint64_t exchange = 0;
  std::vector<CoreReport> cores;  // In the order of the visit; the asking core first.
};

// What is the same for the whole process.
struct ProcessReport {
  const base::Settings* settings = nullptr;
  partner::RegistryStatus registry;
  JournalReport journal;
  const partner::PartnerTable* partners = nullptr;  // nullptr: not known yet.
  retention::RetentionCounters retention;
  int64_t started_at_us = 0;
  int64_t now_us = 0;
};

void append_health(std::string* out, const Survey& survey, const ProcessReport& process);
void append_info(std::string* out, const Survey& survey, const ProcessReport& process);
// Prometheus text exposition format 0.0.4.
void append_metrics(std::string* out, const Survey& survey, const ProcessReport& process);

// Whichever the survey is for. Returns the status of the answer.
int append_survey(std::string* out, const Survey& survey, const ProcessReport& process);

}  // namespace postback::server
