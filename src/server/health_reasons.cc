#include "server/health_reasons.h"

#include <algorithm>

namespace postback::server {
namespace {

bool any_lane(const Survey& survey, bool (*holds)(const LaneReport& lane)) {
  return std::any_of(survey.cores.begin(), survey.cores.end(), [holds](const CoreReport& core) {
    return std::any_of(core.lanes.begin(), core.lanes.end(), holds);
  });
}

struct Reason {
  const char* word;
  bool (*holds)(const Survey& survey, const ProcessReport& process);
};

constexpr Reason kReasons[] = {
    {"control_database",
     [](const Survey&, const ProcessReport& process) { return !process.registry.up; }},
    {"database",
     [](const Survey& survey, const ProcessReport&) { return is_database_away(survey); }},
    {"journal",
     [](const Survey&, const ProcessReport& process) { return is_journal_refusing(process); }},
    {"journal_damaged",
     [](const Survey&, const ProcessReport& process) { return process.journal.damaged; }},
    {"clock",
     [](const Survey&, const ProcessReport& process) { return is_clock_doubted(process); }},
};

}  // namespace

std::vector<std::string_view> health_reasons(const Survey& survey, const ProcessReport& process) {
  std::vector<std::string_view> words;
  for (const Reason& reason : kReasons) {
    if (reason.holds(survey, process)) words.push_back(reason.word);
  }
  return words;
}

bool is_bad(StoreState state) {
  return state == StoreState::down || state == StoreState::schema_wrong;
}

bool is_database_away(const Survey& survey) {
  return any_lane(survey, [](const LaneReport& lane) {
    return is_bad(lane.store.state) || lane.health == ingest::LaneHealth::suspect;
  });
}

bool is_clock_doubted(const ProcessReport& process) {
  return process.time.state != base::ClockState::agreed || process.retention.doubted > 0;
}

bool is_journal_refusing(const ProcessReport& process) {
  return process.journal.state == "refusing" || process.journal.state == "failed";
}

}  // namespace postback::server
