// postbackctl purge
#include <time.h>

#include <algorithm>
#include <csignal>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/json_writer.h"
#include "base/time.h"
#include "base/time_guard.h"
#include "base/time_mark.h"
#include "command.h"
#include "control.h"
#include "quarantine_choice.h"
#include "retention/purge.h"
#include "retention/purge_preview.h"

namespace postback::postbackctl {
namespace {

using base::Result;
using base::Status;
using partner::SqlClient;
using retention::PurgePreview;
using retention::PurgeWitness;

// Counting what would go reads all of it.
constexpr partner::SqlLimits kCountLimits{.connect_ms = 5000, .statement_ms = 900'000};

// Ctrl-C ends the purge after the batch at hand, so that it can be run again at once.
volatile std::sig_atomic_t interrupted = 0;

void interrupt(int) {
  interrupted = 1;
}

// As the server does it: other programs get the database for most of the time. A signal ends it.
bool rest(uint64_t pause_ns) {
  constexpr uint64_t kSecondNs = 1'000'000'000;
  timespec left{static_cast<time_t>(pause_ns / kSecondNs), static_cast<long>(pause_ns % kSecondNs)};
  nanosleep(&left, nullptr);
  return interrupted == 0;
}

// What this machine's clock is worth, by the mark that its server keeps in DATA_DIR. A machine
// without a server has none; then the partner's database is what contradicts the clock.
base::TimeView time_view(const Invocation& invocation) {
  base::TimeGuard guard(base::load_mark(invocation.settings.data_dir));
  return guard.look(base::sample_clocks());
}

Status refused(const std::string& reason) {
  return Status::error(reason +
                       ". Nothing was purged. If you know that the clock of this machine is right: "
                       "postbackctl purge --trust-clock");
}

// What was done, also where the status is an error; days are told by a dry run only.
Status purge(const Invocation& invocation, const Partner& partner, PurgePreview* done) {
  Result<std::unique_ptr<SqlClient>> client =
      retention::open_for_purge(partner, partner::SqlMode::guest, kToolLimits);
  if (!client.ok() || client.value() == nullptr) return client.status();
  std::random_device random;
  const auto holder = static_cast<int64_t>(((uint64_t{random()} << 31) ^ random()) | 1);
  retention::Purge purge(partner, client.value().get(), holder, &base::system_clock(), rest,
                         {.time = [&invocation] { return time_view(invocation); },
                          .clock_is_trusted = invocation.trust_clock});
  Result<retention::PurgeOutcome> outcome = purge.run(false);
  done->counts = purge.counts();
  if (outcome.ok() && outcome.value() == retention::PurgeOutcome::of_another) {
    return Status::error(
        "a server or another postbackctl is purging it now, or was killed in the last five "
        "minutes; try again later");
  }
  if (outcome.ok() && outcome.value() == retention::PurgeOutcome::stopped) {
    return Status::error("interrupted; run it again to go on");
  }
  if (outcome.ok() && outcome.value() == retention::PurgeOutcome::clock_doubted) {
    return refused(purge.refusal());
  }
  return outcome.status();
}

Status preview(const Invocation& invocation, const Partner& partner, PurgePreview* found) {
  Result<std::unique_ptr<SqlClient>> client =
      retention::open_for_purge(partner, partner::SqlMode::read, kCountLimits);
  if (!client.ok() || client.value() == nullptr) return client.status();
  const PurgeWitness witness{.time = [&invocation] { return time_view(invocation); },
                             .clock_is_trusted = invocation.trust_clock};
  Result<retention::PurgeTime> time =
      retention::time_of_purge(client.value().get(), partner.id, witness);
  if (!time.ok()) return refused(time.status().message());
  Result<PurgePreview> counted =
      retention::preview_purge(client.value().get(), partner, time.value());
  if (counted.ok()) *found = counted.take();
  return counted.status();
}

std::string counted(int64_t count, const char* one, const char* many) {
  return std::to_string(count) + " " + (count == 1 ? one : many);
}

int64_t id_days(const Partner& partner) {
  return std::max(partner.data_retention_days, partner.dedupe_retention_days);
}

std::string report_text(const Partner& partner, const PurgePreview& report, bool dry_run) {
  std::string text =
      partner.partner_code + ": " + counted(report.counts.purged, "conversion", "conversions");
  if (report.day_count > 0) {
    text += " of " + counted(report.day_count, "day", "days") + " (" + report.first_day + " to " +
            report.last_day + ")";
  }
  text += " and " +
          counted(report.counts.quarantined, "quarantined postback", "quarantined postbacks") +
          " older than " + counted(partner.data_retention_days, "day", "days") +
          (dry_run ? " would be purged; " : " purged; ") +
          counted(report.counts.forgotten, "id", "ids") + " older than " +
          counted(id_days(partner), "day", "days") +
          (dry_run ? " would be forgotten; " : " forgotten; ") + "statistics of " +
          counted(report.counts.stats.hours, "hour", "hours") + " and " +
          counted(report.counts.stats.days, "day", "days") +
          (dry_run ? " would be merged\n" : " merged\n");
  return text;
}

void append_member(std::string* json, const char* name, int64_t value) {
  *json += ',';
  base::append_json_name(json, name);
  base::append_integer(json, value);
}

std::string report_json(const Partner& partner, const PurgePreview& report, bool dry_run) {
  std::string json = "{\"partner\":";
  base::append_json_string(&json, partner.partner_code);
  append_member(&json, "data_retention_days", partner.data_retention_days);
  append_member(&json, "dedupe_retention_days", partner.dedupe_retention_days);
  append_member(&json, "conversions", report.counts.purged);
  append_member(&json, "quarantined", report.counts.quarantined);
  append_member(&json, "ids_forgotten", report.counts.forgotten);
  append_member(&json, "stats_hours_merged", report.counts.stats.hours);
  append_member(&json, "stats_days_merged", report.counts.stats.days);
  if (dry_run) {
    append_member(&json, "days", report.day_count);
    for (const auto& [name, day] :
         {std::pair("first_day", &report.first_day), std::pair("last_day", &report.last_day)}) {
      json += std::string(",\"") + name + "\":";
      if (day->empty()) {
        json += "null";
      } else {
        base::append_json_string(&json, *day);
      }
    }
  }
  return json + "}";
}

}  // namespace

int run_purge(const Invocation& invocation) {
  const bool dry_run = invocation.dry_run;
  bool complete = true;
  Result<std::vector<Partner>> partners = chosen_partners(invocation, &complete);
  if (!partners.ok()) return fail(partners.status().message());
  if (!dry_run) {
    std::signal(SIGINT, interrupt);
    std::signal(SIGTERM, interrupt);
  }
  std::string json;
  for (const Partner& partner : partners.value()) {
    if (interrupted != 0) break;
    PurgePreview report;
    const Status status =
        dry_run ? preview(invocation, partner, &report) : purge(invocation, partner, &report);
    if (!status.ok()) {
      warn("partner " + partner.partner_code + " is not done: " + status.message());
      complete = false;
    }
    if (invocation.json) {
      json += (json.empty() ? "" : ",\n ") + report_json(partner, report, dry_run);
    } else {
      print(report_text(partner, report, dry_run));
    }
  }
  if (invocation.json) {
    print(std::string("{\"dry_run\":") + (dry_run ? "true" : "false") + ",\"partners\":[" + json +
          "]}\n");
  }
  return complete ? kOk : kFailed;
}

}  // namespace postback::postbackctl
