// Settings of postbackd and postbackctl. Each is an environment variable (PORT), a flag (--port)
// and a key of the optional --config FILE (lines `PORT=8000` or `port = 8000`, # comments): flag
// beats environment beats file beats default. A wrong value is an error whose one-line message says
// what is wrong and what would be right.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/status.h"

namespace postback::base {

enum class IoEngine : uint8_t { automatic, io_uring, epoll };

// Whether accepted postbacks may wait in a journal on local disk while their database is away.
enum class JournalMode : uint8_t {
  automatic,  // Where the disk survives the machine.
  on,         // Everywhere: the operator knows the disk better.
  off,
};

struct Settings {
  std::string host = "127.0.0.1";                       // HOST: an IP address to listen on.
  int port = 8000;                                      // PORT: 0 (any free port) to 65535.
  std::string database_url = "sqlite:data/control.db";  // DATABASE_URL: the control database.
  std::string data_dir = "data";                        // DATA_DIR
  int cores = 0;  // CORES: 1 to 256, or 0: as many as the CPUs the process may use.
  IoEngine io_engine = IoEngine::automatic;    // IO_ENGINE: auto, io_uring, epoll.
  LogLevel log_level = LogLevel::info;         // LOG_LEVEL: DEBUG, INFO, WARNING, ERROR.
  LogFormat log_format = LogFormat::text;      // LOG_FORMAT: text, json; json by default
                                               // on Cloud Run (K_SERVICE is set).
  std::string log_file = "logs/postback.log";  // LOG_FILE: a path, or "-" for none.
  bool log_postbacks = false;  // LOG_POSTBACKS: one line per postback at INFO (true/false).
  int64_t dedupe_ids_max =
      10'000'000;  // DEDUPE_IDS_MAX: ids kept in memory by the process, 1000 on.
  JournalMode journal = JournalMode::automatic;  // JOURNAL: auto, on, off.
  int journal_segment_mib = 64;  // JOURNAL_SEGMENT_MIB: 1 to 1024; two are prepared on disk.
  int ack_budget_ms = 1000;      // ACK_BUDGET_MS: 100 to 1500. A postback that its database has
                                 // not committed by then is answered from the journal.
  int lame_duck_s = 0;           // LAME_DUCK_S: 0 to 600. After SIGTERM, /readyz answers 503 for so
                                 // long while postbacks are still taken.
};

struct SettingsResult {
  Settings settings;
  std::vector<std::string> arguments;  // What is not a setting: commands and operands, in order.
  bool help = false;                   // --help or -h stood anywhere.
  bool version = false;                // --version stood anywhere.
};

// `environment`: "NAME=value" entries. Flags are `--name value` or `--name=value`; an unknown flag
// is an error unless listed in `own_flags` (with its leading dashes; then it is passed on in
// `arguments`, and its value, if any, too). `--` ends the flags.
Result<SettingsResult> read_settings(const std::vector<std::string>& command_line,
                                     const std::vector<std::string>& environment,
                                     const std::vector<std::string>& own_flags);

// One line per setting for --help: flag, environment variable, default, meaning.
std::string settings_help();

// Every setting with its value as shown by /info: name and value, passwords masked.
std::vector<std::pair<std::string, std::string>> settings_shown(const Settings& settings);

}  // namespace postback::base
