#include "server/readiness.h"

#include "base/json_writer.h"
#include "server/health_reasons.h"

namespace postback::server {
namespace {

bool is_away(const LaneReport& lane) {
  return is_bad(lane.store.state) || lane.health == ingest::LaneHealth::suspect;
}

}  // namespace

Readiness judge_readiness(const Survey& survey, const ProcessReport& process) {
  Readiness none;
  if (process.stage == Stage::draining || process.stage == Stage::closing ||
      process.stage == Stage::leaving) {
    none.reason = "the server is stopping";
    return none;
  }
  if (process.partners == nullptr) {
    none.reason = "the partners are not known yet: the control database cannot be read";
    return none;
  }
  if (process.partners->entries().empty()) {
    none.reason = "no partner is registered: run postbackctl init, or check DATABASE_URL";
    return none;
  }
  size_t lane_count = 0;
  size_t away_count = 0;
  for (const CoreReport& core : survey.cores) {
    lane_count += core.lanes.size();
    for (const LaneReport& lane : core.lanes) away_count += is_away(lane) ? 1 : 0;
  }
  const bool has_journal = process.journal.is_on && !is_journal_refusing(process);
  Readiness readiness;
  readiness.takes_all = has_journal || away_count == 0;
  readiness.takes_some = readiness.takes_all || away_count < lane_count;
  if (!readiness.takes_some) {
    readiness.reason = "the databases of all partners are away, and there is no journal";
  }
  return readiness;
}

int append_readyz(std::string* out, const Survey& survey, const ProcessReport& process) {
  const Readiness readiness = judge_readiness(survey, process);
  out->append(readiness.takes_some ? "{\"ready\":true" : "{\"ready\":false,\"reason\":");
  if (!readiness.takes_some) base::append_json_string(out, readiness.reason);
  out->push_back('}');
  return readiness.takes_some ? 200 : 503;
}

}  // namespace postback::server
