#include "server/survey.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/json_writer.h"
#include "base/time.h"
#include "server/health_reasons.h"

namespace postback::server {
namespace {

using base::append_integer;
using base::append_json_name;
using base::append_json_string;

class JsonObject {
 public:
  explicit JsonObject(std::string* out) : out_(out) { out_->push_back('{'); }
  void end() { out_->push_back('}'); }
  void name(std::string_view name) {
    if (!first_) out_->push_back(',');
    first_ = false;
    append_json_name(out_, name);
  }
  void text(std::string_view key, std::string_view value) {
    name(key);
    append_json_string(out_, value);
  }
  void integer(std::string_view key, int64_t value) {
    name(key);
    append_integer(out_, value);
  }
  void boolean(std::string_view key, bool value) {
    name(key);
    out_->append(value ? "true" : "false");
  }
  void texts(std::string_view key, const std::vector<std::string_view>& values) {
    name(key);
    out_->push_back('[');
    for (size_t i = 0; i < values.size(); ++i) {
      if (i > 0) out_->push_back(',');
      append_json_string(out_, values[i]);
    }
    out_->push_back(']');
  }
  void time(std::string_view key, int64_t time_us) {
    name(key);
    out_->push_back('"');
    base::append_iso8601(out_, time_us);
    out_->push_back('"');
  }

 private:
  std::string* out_;
  bool first_ = true;
};

std::vector<const LaneReport*> all_lanes(const Survey& survey) {
  std::vector<const LaneReport*> lanes;
  for (const CoreReport& core : survey.cores) {
    for (const LaneReport& lane : core.lanes) lanes.push_back(&lane);
  }
  std::sort(lanes.begin(), lanes.end(), [](const LaneReport* a, const LaneReport* b) {
    return std::pair(a->partner_id, a->slice) < std::pair(b->partner_id, b->slice);
  });
  return lanes;
}

void append_control_database(JsonObject* object, std::string* out, const ProcessReport& process) {
  object->name("control_database");
  JsonObject control(out);
  control.text("kind", process.registry.kind);
  control.text("state", process.registry.up ? "up" : "down");
  if (!process.registry.error.empty()) control.text("error", process.registry.error);
  if (process.registry.cached_as_of_us > 0) {
    control.time("partners_as_of", process.registry.cached_as_of_us);
  }
  control.end();
}

int64_t age_s(int64_t time_us, const ProcessReport& process) {
  return time_us == 0 ? 0 : std::max<int64_t>(0, process.now_us - time_us) / 1'000'000;
}

void append_journal(JsonObject* object, std::string* out, const ProcessReport& process) {
  const JournalReport& report = process.journal;
  object->name("journal");
  JsonObject journal(out);
  journal.text("state", report.state);
  journal.text("reason", report.reason);
  if (report.is_on) {
    if (!report.error.empty()) journal.text("error", report.error);
    journal.boolean("damaged", report.damaged);
    journal.integer("waiting", static_cast<int64_t>(report.waiting));
    journal.integer("oldest_s", age_s(report.oldest_us, process));
  }
  journal.end();
}

}  // namespace

void append_health(std::string* out, const Survey& survey, const ProcessReport& process) {
  const std::vector<const LaneReport*> lanes = all_lanes(survey);
  const std::vector<std::string_view> reasons = health_reasons(survey, process);
  const bool away = is_database_away(survey);
  const bool journal_bad = is_journal_refusing(process);
  JsonObject health(out);
  health.text("status", reasons.empty() ? "healthy" : "degraded");
  health.texts("reasons", reasons);
  // Every postback of a known partner is taken: by its database, or by the journal.
  const bool has_journal = process.journal.is_on && !journal_bad;
  health.boolean("ready", process.partners != nullptr && (has_journal || !away) && !journal_bad);
  health.text("version", POSTBACK_VERSION);
  health.integer("uptime_s", (process.now_us - process.started_at_us) / 1'000'000);
  append_control_database(&health, out, process);
  append_journal(&health, out, process);
  health.name("databases");
  out->push_back('[');
  bool first = true;
  for (const LaneReport* lane : lanes) {
    if (!first) out->push_back(',');
    first = false;
    JsonObject database(out);
    database.text("partner", lane->partner_code);
    if (lane->slice > 0) database.integer("lane", lane->slice);
    database.text("kind", lane->store_kind);
    database.text("state", store_state_name(lane->store.state));
    database.text("health", ingest::lane_health_name(lane->health));
    if (!lane->store.error.empty()) database.text("error", lane->store.error);
    database.integer("waiting", static_cast<int64_t>(lane->held));
    if (lane->backlog != nullptr && lane->slice == 0) {
      database.integer("journal_waiting", static_cast<int64_t>(lane->backlog->waiting()));
      database.integer("journal_oldest_s", age_s(lane->backlog->oldest_us(), process));
    }
    database.end();
  }
  out->push_back(']');
  health.end();
}

void append_info(std::string* out, const Survey& survey, const ProcessReport& process) {
  JsonObject info(out);
  info.text("name", "postbackd");
  info.text("version", POSTBACK_VERSION);
  info.time("started_at", process.started_at_us);
  const CoreReport& core = survey.cores.front();
  info.name("event_loop");
  JsonObject loop(out);
  loop.text("engine", core.engine);
  loop.text("reason", core.engine_reason);
  loop.integer("cores", static_cast<int64_t>(survey.cores.size()));
  loop.end();
  append_control_database(&info, out, process);
  append_journal(&info, out, process);
  info.name("partners");
  out->push_back('[');
  bool first = true;
  if (process.partners != nullptr) {
    for (const auto& entry : process.partners->entries()) {
      if (!first) out->push_back(',');
      first = false;
      const Partner& partner = entry->partner;
      JsonObject object(out);
      object.text("code", partner.partner_code);
      object.text("name", partner.partner_name);
      object.text("endpoint", partner.endpoint_path);
      object.boolean("is_active", partner.is_active);
      object.text("database_kind",
                  partner.effective_database_url.starts_with("sqlite:") ? "sqlite" : "postgresql");
      object.text("timezone", partner.timezone);
      object.integer("lanes", partner.lanes);
      object.end();
    }
  }
  out->push_back(']');
  info.name("settings");
  JsonObject settings(out);
  for (const auto& [name, value] : base::settings_shown(*process.settings)) {
    settings.text(name, value);
  }
  settings.end();
  info.end();
}

namespace {

void append_label_value(std::string* out, std::string_view value) {
  for (const char c : value) {
    if (c == '\\' || c == '"') out->push_back('\\');
    if (c == '\n') {
      out->append("\\n");
    } else {
      out->push_back(c);
    }
  }
}

void append_metric_head(std::string* out, std::string_view name, std::string_view type,
                        std::string_view help) {
  out->append("# HELP ").append(name).append(" ").append(help).append("\n");
  out->append("# TYPE ").append(name).append(" ").append(type).append("\n");
}

void append_sample(std::string* out, std::string_view name, int64_t value) {
  out->append(name).append(" ");
  append_integer(out, value);
  out->push_back('\n');
}

void append_lane_labels(std::string* out, const LaneReport& lane) {
  out->append("{partner=\"");
  append_label_value(out, lane.partner_code);
  out->append("\",lane=\"");
  append_integer(out, lane.slice);
  out->append("\"");
}

void append_lane_sample(std::string* out, std::string_view name, const LaneReport& lane,
                        std::string_view more_labels, uint64_t value) {
  out->append(name);
  append_lane_labels(out, lane);
  out->append(more_labels).append("} ");
  append_integer(out, static_cast<int64_t>(value));
  out->push_back('\n');
}

// Buckets at powers of two, where the histogram's counts are exact.
void append_histogram(std::string* out, std::string_view name, const LaneReport& lane,
                      const base::Histogram& histogram, int first_power, int last_power,
                      double unit) {
  char text[64];
  for (int power = first_power; power <= last_power; power += 2) {
    const uint64_t bound = (uint64_t{1} << power) - 1;
    std::snprintf(text, sizeof text, ",le=\"%.9g\"", static_cast<double>(bound) * unit);
    append_lane_sample(out, std::string(name) + "_bucket", lane, text,
                       histogram.count_up_to(bound));
  }
  append_lane_sample(out, std::string(name) + "_bucket", lane, ",le=\"+Inf\"", histogram.count());
  std::snprintf(text, sizeof text, "%.9g", static_cast<double>(histogram.sum()) * unit);
  out->append(name).append("_sum");
  append_lane_labels(out, lane);
  out->append("} ").append(text).append("\n");
  append_lane_sample(out, std::string(name) + "_count", lane, "", histogram.count());
}

// What the drain has counted is the partner's: it is told with the first of its lanes.
const ingest::PartnerBacklog* backlog(const LaneReport& lane) {
  static const ingest::PartnerBacklog kNone;
  return lane.backlog == nullptr || lane.slice > 0 ? &kNone : lane.backlog;
}

// What became of the postbacks. At rest, by partner:
// received + recovered = stored + duplicate + quarantined + unavailable + journaled.
void append_fates(std::string* out, const std::vector<const LaneReport*>& lanes) {
  struct Fate {
    const char* name;
    const char* type;
    const char* help;
    uint64_t (*value_of)(const LaneReport&);
  };
  const Fate fates[] = {
      {"postback_recovered_total", "counter", "Records that the start found in the journal.",
       [](const LaneReport& lane) { return backlog(lane)->recovered(); }},
      {"postback_stored_total", "counter", "Conversions stored, drained ones included.",
       [](const LaneReport& lane) {
         return lane.counters.stored + backlog(lane)->drained().stored.load();
       }},
      {"postback_duplicate_total", "counter", "Repeats, drained ones included.",
       [](const LaneReport& lane) {
         return lane.counters.duplicate + backlog(lane)->drained().duplicate.load();
       }},
      {"postback_quarantined_total", "counter", "Quarantine rows, drained ones included.",
       [](const LaneReport& lane) {
         return lane.counters.quarantined + backlog(lane)->drained().quarantined.load();
       }},
      {"postback_unavailable_total", "counter", "Postbacks that nothing could take: 503.",
       [](const LaneReport& lane) { return lane.counters.unavailable; }},
      {"postback_journaled", "gauge", "Acknowledged, in the journal, not in the database yet.",
       [](const LaneReport& lane) { return backlog(lane)->waiting(); }},
  };
  for (const Fate& fate : fates) {
    append_metric_head(out, fate.name, fate.type, fate.help);
    for (const LaneReport* lane : lanes) {
      append_lane_sample(out, fate.name, *lane, "", fate.value_of(*lane));
    }
  }
}

void append_lane_metrics(std::string* out, const std::vector<const LaneReport*>& lanes) {
  append_metric_head(out, "postback_requests_total", "counter",
                     "Postbacks by partner and outcome.");
  for (const LaneReport* lane : lanes) {
    using ingest::Outcome;
    for (const Outcome outcome : {Outcome::success, Outcome::accepted, Outcome::duplicate,
                                  Outcome::quarantined, Outcome::unavailable}) {
      append_lane_sample(out, "postback_requests_total", *lane,
                         std::string(",outcome=\"") + ingest::outcome_name(outcome) + "\"",
                         lane->counters.answers[static_cast<size_t>(outcome)]);
    }
  }
  const auto each = [&](std::string_view name, std::string_view type, std::string_view help,
                        auto value_of) {
    append_metric_head(out, name, type, help);
    for (const LaneReport* lane : lanes) append_lane_sample(out, name, *lane, "", value_of(*lane));
  };
  each("postback_received_total", "counter", "Postbacks that reached their lane.",
       [](const LaneReport& lane) { return lane.counters.received; });
  append_fates(out, lanes);
  each("postback_waiting", "gauge", "Postbacks waiting for their database.",
       [](const LaneReport& lane) { return lane.held; });
  each("postback_batches_total", "counter", "Batches given to the database.",
       [](const LaneReport& lane) { return lane.counters.batches; });
  each("postback_batches_failed_total", "counter", "Batches that were not committed.",
       [](const LaneReport& lane) { return lane.counters.batches_failed; });
  each("postback_batches_in_flight", "gauge", "Batches the database is working on.",
       [](const LaneReport& lane) { return lane.store.batches_in_flight; });
  each("postback_database_connections", "gauge", "Connections to the partner's database.",
       [](const LaneReport& lane) { return lane.store.connections; });
  each("postback_lane_suspect", "gauge", "1: the database is late; postbacks go to the journal.",
       [](const LaneReport& lane) {
         return lane.health == ingest::LaneHealth::suspect ? uint64_t{1} : uint64_t{0};
       });
  each("postback_database_up", "gauge", "0: the last attempt to reach the database failed.",
       [](const LaneReport& lane) { return is_bad(lane.store.state) ? 0 : 1; });
  append_metric_head(out, "postback_latency_seconds", "histogram",
                     "From the complete request to its outcome.");
  for (const LaneReport* lane : lanes) {
    append_histogram(out, "postback_latency_seconds", *lane, lane->counters.latency_us, 6, 24,
                     1e-6);
  }
  append_metric_head(out, "postback_batch_rows", "histogram", "Rows of a batch.");
  for (const LaneReport* lane : lanes) {
    append_histogram(out, "postback_batch_rows", *lane, lane->counters.batch_rows, 1, 11, 1);
  }
}

void append_connection_metrics(std::string* out, const Survey& survey) {
  ConnectionCounters total;
  size_t connections = 0;
  size_t dedupe_ids = 0;
  size_t dedupe_bytes = 0;
  size_t postbacks = 0;
  for (const CoreReport& core : survey.cores) {
    total.accepted += core.connection_counters.accepted;
    total.accept_errors += core.connection_counters.accept_errors;
    total.closed_by_limit += core.connection_counters.closed_by_limit;
    total.shed += core.connection_counters.shed;
    for (size_t status = 0; status < total.answers_by_status.size(); ++status) {
      total.answers_by_status[status] += core.connection_counters.answers_by_status[status];
    }
    connections += core.connections;
    dedupe_ids += core.dedupe_ids;
    dedupe_bytes += core.dedupe_bytes;
    postbacks += core.postbacks_in_use;
  }
  append_metric_head(out, "http_responses_total", "counter", "Answers by status.");
  for (size_t status = 0; status < total.answers_by_status.size(); ++status) {
    if (total.answers_by_status[status] == 0) continue;
    out->append("http_responses_total{status=\"");
    append_integer(out, static_cast<int64_t>(status));
    out->append("\"} ");
    append_integer(out, static_cast<int64_t>(total.answers_by_status[status]));
    out->push_back('\n');
  }
  const auto one = [&](std::string_view name, std::string_view type, std::string_view help,
                       uint64_t value) {
    append_metric_head(out, name, type, help);
    append_sample(out, name, static_cast<int64_t>(value));
  };
  one("http_connections", "gauge", "Open client connections.", connections);
  one("http_connections_accepted_total", "counter", "Client connections accepted.", total.accepted);
  one("http_accept_errors_total", "counter", "Accepts that failed.", total.accept_errors);
  one("http_connections_timed_out_total", "counter", "Connections closed by a time limit.",
      total.closed_by_limit);
  one("http_connections_shed_total", "counter",
      "Requests refused, or connections closed, that made the server hold too much.", total.shed);
  one("postback_in_progress", "gauge", "Postbacks between request and answer.", postbacks);
  one("postback_dedupe_ids", "gauge", "Ids in the dedupe sets.", dedupe_ids);
  one("postback_dedupe_bytes", "gauge", "Memory of the dedupe sets.", dedupe_bytes);
}

void append_journal_metrics(std::string* out, const ProcessReport& process) {
  const JournalReport& journal = process.journal;
  const auto one = [&](std::string_view name, std::string_view type, std::string_view help,
                       int64_t value) {
    append_metric_head(out, name, type, help);
    append_sample(out, name, value);
  };
  one("journal_up", "gauge", "1: the journal takes postbacks when a database is away.",
      journal.state == "ready" || journal.state == "preparing" ? 1 : 0);
  if (!journal.is_on) return;
  one("journal_waiting", "gauge", "Records of all partners that are not in their database yet.",
      static_cast<int64_t>(journal.waiting));
  one("journal_oldest_seconds", "gauge", "Age of the oldest of them.",
      age_s(journal.oldest_us, process));
  one("journal_segments", "gauge", "Segments that wait to be drained, the current one not counted.",
      static_cast<int64_t>(journal.segments));
  one("journal_failed_frames_total", "counter", "Writes that did not become durable.",
      static_cast<int64_t>(journal.failed_frames));
  one("journal_damaged", "gauge", "1: acknowledged records were found to be lost at the start.",
      journal.damaged ? 1 : 0);
}

int64_t resident_bytes() {
  // /proc/self/statm: sizes in pages; the second is what is resident (proc(5)).
  std::FILE* file = std::fopen("/proc/self/statm", "re");
  if (file == nullptr) return 0;
  long total = 0;
  long resident = 0;
  const int fields = std::fscanf(file, "%ld %ld", &total, &resident);
  std::fclose(file);
  return fields == 2 ? resident * sysconf(_SC_PAGESIZE) : 0;
}

}  // namespace

void append_metrics(std::string* out, const Survey& survey, const ProcessReport& process) {
  append_metric_head(out, "postback_info", "gauge", "Version and event loop.");
  out->append("postback_info{version=\"" POSTBACK_VERSION "\",engine=\"");
  append_label_value(out, survey.cores.front().engine);
  out->append("\"} 1\n");
  append_lane_metrics(out, all_lanes(survey));
  append_connection_metrics(out, survey);
  append_journal_metrics(out, process);
  append_metric_head(out, "postback_control_database_up", "gauge",
                     "0: the control database cannot be read.");
  append_sample(out, "postback_control_database_up", process.registry.up ? 1 : 0);
  append_metric_head(out, "postback_partners", "gauge", "Partners in the registry.");
  append_sample(
      out, "postback_partners",
      process.partners == nullptr ? 0 : static_cast<int64_t>(process.partners->entries().size()));
  append_metric_head(out, "postback_purged_rows_total", "counter",
                     "Conversions purged, quarantined postbacks deleted, ids forgotten.");
  append_sample(out, "postback_purged_rows_total", process.retention.purged_rows);
  append_metric_head(out, "postback_purge_looks_total", "counter",
                     "Times that a partner was looked at for a purge.");
  append_sample(out, "postback_purge_looks_total", process.retention.looks);
  append_metric_head(out, "process_resident_memory_bytes", "gauge", "Resident memory.");
  append_sample(out, "process_resident_memory_bytes", resident_bytes());
  append_metric_head(out, "process_start_time_seconds", "gauge", "Start time, Unix seconds.");
  append_sample(out, "process_start_time_seconds", process.started_at_us / 1'000'000);
}

int append_survey(std::string* out, const Survey& survey, const ProcessReport& process) {
  switch (survey.kind) {
    case Survey::Kind::health:
      append_health(out, survey, process);
      break;
    case Survey::Kind::info:
      append_info(out, survey, process);
      break;
    case Survey::Kind::metrics:
      append_metrics(out, survey, process);
      break;
  }
  return 200;
}

}  // namespace postback::server
