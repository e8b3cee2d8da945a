#include "base/settings_table.h"

#include <arpa/inet.h>

#include <charconv>

#include "base/database_url.h"
#include "base/utf8.h"

namespace postback::base {
namespace {

constexpr int kPortMax = 65535;
constexpr int kCoresMax = 256;
constexpr int64_t kDedupeIdsMin = 1000;
constexpr int64_t kDedupeIdsMax = 1'000'000'000;  // Some 50 GB of memory: more is a slip of a key.
constexpr int kJournalSegmentMibMax = 1024;       // Offsets in a segment are 32 bits wide.
// Below, a commit that waits for a busy disk would be taken for an outage; above, no time is left
// to write the journal before senders, which wait for two seconds, give up.
constexpr int kAckBudgetMsMin = 100;
constexpr int kAckBudgetMsMax = 1500;
constexpr int kLameDuckSMax = 600;
constexpr size_t kPathSizeMax = 4095;  // PATH_MAX less its NUL.

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return out;
}

bool read_integer(std::string_view text, int64_t low, int64_t high, int64_t* value) {
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, *value);
  return result.ec == std::errc() && result.ptr == end && *value >= low && *value <= high;
}

std::string check_path(std::string_view text) {
  if (text.size() > kPathSizeMax) return "longer than 4095 bytes; give a shorter path";
  if (!is_valid_utf8(text)) return "not UTF-8; give a path in UTF-8";
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      return "a control character in it; give a path without";
    }
  }
  return "";
}

std::string read_host(std::string_view text, Settings* settings) {
  const std::string host(text);
  in_addr ipv4{};
  in6_addr ipv6{};
  if (inet_pton(AF_INET, host.c_str(), &ipv4) != 1 &&
      inet_pton(AF_INET6, host.c_str(), &ipv6) != 1) {
    return "not an IP address; give one of this machine, or 0.0.0.0 or :: for all of them";
  }
  settings->host = host;
  return "";
}

std::string read_port(std::string_view text, Settings* settings) {
  int64_t value = 0;
  if (!read_integer(text, 0, kPortMax, &value)) {
    return "not a port; give a number from 0 to 65535";
  }
  settings->port = static_cast<int>(value);
  return "";
}

std::string read_database_url(std::string_view text, Settings* settings) {
  const Status status = check_database_url(text);
  if (!status.ok()) return status.message();
  settings->database_url = std::string(text);
  return "";
}

std::string read_data_dir(std::string_view text, Settings* settings) {
  std::string wrong = check_path(text);
  if (wrong.empty()) settings->data_dir = std::string(text);
  return wrong;
}

std::string read_cores(std::string_view text, Settings* settings) {
  int64_t value = 0;
  if (!read_integer(text, 0, kCoresMax, &value)) {
    return "not a number of cores; give a number from 1 to 256, or 0 for every CPU";
  }
  settings->cores = static_cast<int>(value);
  return "";
}

std::string read_io_engine(std::string_view text, Settings* settings) {
  const std::string name = upper(text);
  if (name == "AUTO") {
    settings->io_engine = IoEngine::automatic;
  } else if (name == "IO_URING") {
    settings->io_engine = IoEngine::io_uring;
  } else if (name == "EPOLL") {
    settings->io_engine = IoEngine::epoll;
  } else {
    return "not an engine; give auto, io_uring or epoll";
  }
  return "";
}

std::string show_io_engine(const Settings& settings) {
  switch (settings.io_engine) {
    case IoEngine::automatic:
      return "auto";
    case IoEngine::io_uring:
      return "io_uring";
    case IoEngine::epoll:
      return "epoll";
  }
  return "auto";
}

std::string read_log_level(std::string_view text, Settings* settings) {
  const std::string name = upper(text);
  if (name == "DEBUG") {
    settings->log_level = LogLevel::debug;
  } else if (name == "INFO") {
    settings->log_level = LogLevel::info;
  } else if (name == "WARNING") {
    settings->log_level = LogLevel::warning;
  } else if (name == "ERROR") {
    settings->log_level = LogLevel::error;
  } else {
    return "not a level; give DEBUG, INFO, WARNING or ERROR";
  }
  return "";
}

std::string show_log_level(const Settings& settings) {
  switch (settings.log_level) {
    case LogLevel::debug:
      return "DEBUG";
    case LogLevel::info:
      return "INFO";
    case LogLevel::warning:
      return "WARNING";
    case LogLevel::error:
      return "ERROR";
  }
  return "INFO";
}

std::string read_log_format(std::string_view text, Settings* settings) {
  const std::string name = upper(text);
  if (name != "TEXT" && name != "JSON") return "not a format; give text or json";
  settings->log_format = name == "TEXT" ? LogFormat::text : LogFormat::json;
  return "";
}

std::string read_log_file(std::string_view text, Settings* settings) {
  std::string wrong = check_path(text);
  if (wrong.empty() && text.ends_with('/')) wrong = "a folder; give a file in it, or - for none";
  if (wrong.empty()) settings->log_file = std::string(text);
  return wrong;
}

std::string read_log_postbacks(std::string_view text, Settings* settings) {
  const std::string name = upper(text);
  if (name != "TRUE" && name != "FALSE" && name != "1" && name != "0") {
    return "neither yes nor no; give true or false";
  }
  settings->log_postbacks = name == "TRUE" || name == "1";
  return "";
}

std::string read_dedupe_ids_max(std::string_view text, Settings* settings) {
  if (!read_integer(text, kDedupeIdsMin, kDedupeIdsMax, &settings->dedupe_ids_max)) {
    return "not a number of ids; give a number from 1000 to 1000000000";
  }
  return "";
}

std::string read_journal(std::string_view text, Settings* settings) {
  const std::string name = upper(text);
  if (name == "AUTO") {
    settings->journal = JournalMode::automatic;
  } else if (name == "ON") {
    settings->journal = JournalMode::on;
  } else if (name == "OFF") {
    settings->journal = JournalMode::off;
  } else {
    return "not a mode; give auto, on or off";
  }
  return "";
}

std::string show_journal(const Settings& settings) {
  switch (settings.journal) {
    case JournalMode::automatic:
      return "auto";
    case JournalMode::on:
      return "on";
    case JournalMode::off:
      return "off";
  }
  return "auto";
}

std::string read_journal_segment_mib(std::string_view text, Settings* settings) {
  int64_t value = 0;
  if (!read_integer(text, 1, kJournalSegmentMibMax, &value)) {
    return "not a size in MiB; give a number from 1 to 1024";
  }
  settings->journal_segment_mib = static_cast<int>(value);
  return "";
}

std::string read_ack_budget_ms(std::string_view text, Settings* settings) {
  int64_t value = 0;
  if (!read_integer(text, kAckBudgetMsMin, kAckBudgetMsMax, &value)) {
    return "not a time in milliseconds; give a number from 100 to 1500";
  }
  settings->ack_budget_ms = static_cast<int>(value);
  return "";
}

std::string read_lame_duck_s(std::string_view text, Settings* settings) {
  int64_t value = 0;
  if (!read_integer(text, 0, kLameDuckSMax, &value)) {
    return "not a time in seconds; give a number from 0 to 600";
  }
  settings->lame_duck_s = static_cast<int>(value);
  return "";
}

std::string read_failover_tail_s(std::string_view text, Settings* settings) {
  constexpr int64_t kFailoverTailSMax = 60;
  int64_t value = 0;
  if (!read_integer(text, 0, kFailoverTailSMax, &value)) {
    return "not a time in seconds; give a number from 0 (off) to 60";
  }
  settings->failover_tail_s = static_cast<int>(value);
  return "";
}

constexpr SettingDefinition kDefinitions[] = {
    {"HOST", "ADDRESS", "IP address to listen on; 0.0.0.0 on Cloud Run", read_host,
     [](const Settings& s) { return s.host; }, false},
    {"PORT", "NUMBER", "port to listen on; 0: any free one", read_port,
     [](const Settings& s) { return std::to_string(s.port); }, false},
    {"DATABASE_URL", "URL", "control database: sqlite:PATH or postgresql://...", read_database_url,
     [](const Settings& s) { return masked_url(s.database_url); }, true},
    {"DATA_DIR", "FOLDER", "folder of the partners' SQLite databases", read_data_dir,
     [](const Settings& s) { return s.data_dir; }, false},
    {"CORES", "NUMBER", "threads that serve; 0: as many as CPUs", read_cores,
     [](const Settings& s) { return std::to_string(s.cores); }, false},
    {"IO_ENGINE", "NAME", "event loop: auto, io_uring or epoll", read_io_engine, show_io_engine,
     false},
    {"LOG_LEVEL", "NAME", "DEBUG (with steps), INFO, WARNING or ERROR", read_log_level,
     show_log_level, false},
    {"LOG_FORMAT", "NAME", "text or json; json on Cloud Run", read_log_format,
     [](const Settings& s) {
       return std::string(s.log_format == LogFormat::text ? "text" : "json");
     },
     false},
    {"LOG_FILE", "FILE", "log file beside stdout; -: none, as on Cloud Run", read_log_file,
     [](const Settings& s) { return s.log_file; }, false},
    {"LOG_POSTBACKS", "BOOL", "one line per postback at INFO: true or false", read_log_postbacks,
     [](const Settings& s) { return std::string(s.log_postbacks ? "true" : "false"); }, false},
    {"DEDUPE_IDS_MAX", "NUMBER", "conversion ids kept in memory, 1000 or more", read_dedupe_ids_max,
     [](const Settings& s) { return std::to_string(s.dedupe_ids_max); }, false},
    {"JOURNAL", "MODE", "journal for outages: auto, on or off", read_journal, show_journal, false},
    {"JOURNAL_SEGMENT_MIB", "NUMBER", "size of a journal file; two are prepared",
     read_journal_segment_mib,
     [](const Settings& s) { return std::to_string(s.journal_segment_mib); }, false},
    {"ACK_BUDGET_MS", "NUMBER", "after it the journal answers, not the database",
     read_ack_budget_ms, [](const Settings& s) { return std::to_string(s.ack_budget_ms); }, false},
    {"LAME_DUCK_S", "NUMBER", "after SIGTERM, seconds of serving while not ready", read_lame_duck_s,
     [](const Settings& s) { return std::to_string(s.lame_duck_s); }, false},
    {"FAILOVER_TAIL_S", "NUMBER", "stored rows kept so long for a standby",
     read_failover_tail_s, [](const Settings& s) { return std::to_string(s.failover_tail_s); },
     false},
};

}  // namespace

std::span<const SettingDefinition> setting_definitions() {
  return kDefinitions;
}

std::string setting_flag(const SettingDefinition& definition) {
  std::string flag = "--";
  for (const char* c = definition.name; *c != '\0'; ++c) {
    flag.push_back(*c == '_' ? '-'
                             : static_cast<char>(*c >= 'A' && *c <= 'Z' ? *c - 'A' + 'a' : *c));
  }
  return flag;
}

const SettingDefinition* find_setting(std::string_view name) {
  std::string normal = upper(name);
  for (char& c : normal) {
    if (c == '-') c = '_';
  }
  for (const SettingDefinition& definition : kDefinitions) {
    if (normal == definition.name) return &definition;
  }
  return nullptr;
}

}  // namespace postback::base
