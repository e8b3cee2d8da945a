// The log. A line is formatted by its thread into a bounded queue; one thread writes the queue to
// standard output and to the log file, so a slow disk or terminal never blocks a core. When the
// queue is full, lines are counted and the count is written as soon as there is room.
//
// Any thread. Lines longer than kLineBytesMax are cut. Text from outside is escaped: what
// could steer a terminal or reorder what is read (base/printable.h) never reaches it, in text and
// in JSON.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"

namespace postback::base {

enum class LogLevel : uint8_t { debug, info, warning, error };
enum class LogFormat : uint8_t { text, json };

constexpr size_t kLineBytesMax = 8192;

struct LogOptions {
  LogLevel level = LogLevel::info;
  LogFormat format = LogFormat::text;
  std::string file;  // Empty: standard output only. The folder is made if missing.
};

// Starts the writing thread. Lines logged before are written to standard error at once.
Status log_start(const LogOptions& options);
// Writes what is queued and ends the thread.
void log_stop();
// Opens the log file again (after logrotate moved it).
void log_reopen();

bool log_enabled(LogLevel level);
// `area` is the part of the program ("store", "partner"); `message` one sentence or key=value
// pairs without line feeds.
void log_line(LogLevel level, std::string_view area, std::string_view message);

// Personal data and secrets as they may stand in a log at INFO and above. ip: its /24 (IPv4) or /48
// (IPv6); id: the first 4 characters and "…" when longer than 8.
std::string masked_ip(std::string_view ip);
std::string masked_id(std::string_view id);
// A database URL without its password.
std::string masked_url(std::string_view url);

}  // namespace postback::base

// The message is only built when its level is on.
#define LOG_DEBUG(area, message) POSTBACK_LOG(debug, area, message)
#define LOG_INFO(area, message) POSTBACK_LOG(info, area, message)
#define LOG_WARNING(area, message) POSTBACK_LOG(warning, area, message)
#define LOG_ERROR(area, message) POSTBACK_LOG(error, area, message)
#define POSTBACK_LOG(level, area, message)                                              \
  do {                                                                                  \
    if (::postback::base::log_enabled(::postback::base::LogLevel::level)) {             \
      ::postback::base::log_line(::postback::base::LogLevel::level, (area), (message)); \
    }                                                                                   \
  } while (false)
